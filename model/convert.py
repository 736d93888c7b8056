"""Turn a published Video-XL checkpoint into one that this package loads.

    python -m model.convert PUBLISHED_DIR OUT [--vision-tower DIR]

The published configuration calls itself `qwen2` and names its vision tower by a path on its authors'
machines; the tower's weights are in the checkpoint. Its configuration is taken from `--vision-tower` (a
folder with the config.json of a CLIP tower), from that path if it exists, or else is that of CLIP
ViT-L/14-336.

Whatever is wrong with a checkpoint is listed in full, and nothing is written.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoTokenizer, CLIPVisionConfig, GenerationConfig, Qwen2Config

from model.configuration import CLIP_L_14_336, PUBLISHED_RATIOS, VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.published_names import IGNORED, our_name

TEXT_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "rope_theta",
    "attention_dropout",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
)

ONLY_KNOWN: dict[str, Any] = {
    "beacon_attn": "full-coverage",
    "beacon_pos": "interleave",
    "beacon_sink_size": 0,
    "beacon_parallel_window": 1,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_feature": "patch",
    "mm_spatial_pool_mode": "average",
    "mm_patch_merge_type": "unires",
}
"""Settings for which another value would mean another function."""


class CheckpointError(Exception):
    """A checkpoint that cannot be converted; `problems` lists everything found wrong."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        super().__init__(
            f"{folder} is not a Video-XL checkpoint that can be converted:\n  - " + "\n  - ".join(problems)
        )
        self.problems = problems


def load_published(folder: Path, vision_tower: Path | None = None) -> VideoXLForConditionalGeneration:
    """The model of a published checkpoint, in the type its weights have.

    Raises:
        CheckpointError: with the list of what is wrong.
    """
    published = _read_config(folder)
    config = converted_config(published, folder, vision_tower)
    weights = _our_weights(folder, config)
    dtype = weights["model.language_model.embed_tokens.weight"].dtype
    with torch.device("meta"):
        model = VideoXLForConditionalGeneration(config)
    model.load_state_dict(weights, strict=True, assign=True)
    model.tie_weights()
    _rebuild_buffers(model)
    model.config.dtype = dtype
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model.eval()


def converted_config(published: dict[str, Any], folder: Path, vision_tower: Path | None) -> VideoXLConfig:
    """Our configuration for a published one.

    Raises:
        CheckpointError: settings that are missing, or that mean another function.
    """
    needed = (*TEXT_FIELDS[:6], "rope_theta", "rms_norm_eps", "mm_vision_select_layer", "beacon_window")
    problems = [f"config.json has no {name!r}" for name in needed if name not in published]
    problems += [
        f"config.json says {name}={published[name]!r}; only {value!r} is supported"
        for name, value in ONLY_KNOWN.items()
        if published.get(name, value) != value
    ]
    if sorted(published.get("beacon_param", ["q", "k", "v"])) != ["k", "q", "v"]:
        problems.append(f"config.json says beacon_param={published['beacon_param']!r}; only q, k and v are supported")
    if published.get("beacon_stride", published.get("beacon_window")) != published.get("beacon_window"):
        problems.append("config.json has a beacon_stride that is not its beacon_window")
    if published.get("rope_scaling"):
        problems.append(f"config.json says rope_scaling={published['rope_scaling']!r}; the published model has none")
    if problems:
        raise CheckpointError(folder, problems)
    window = published["beacon_window"]
    ratio = published.get("beacon_ratio", 8)
    try:
        return VideoXLConfig(
            text_config=Qwen2Config(**{name: published[name] for name in TEXT_FIELDS if name in published}),
            vision_config=_vision_config(published, vision_tower),
            window_tokens=window,
            ratios=[value for value in PUBLISHED_RATIOS if window % value == 0],
            default_ratio=ratio[0] if isinstance(ratio, list) and len(ratio) == 1 else ratio,
            vision_select_layer=published["mm_vision_select_layer"],
            pool_stride=published.get("mm_spatial_pool_stride", 2),
            grid_pinpoints=published.get("image_grid_pinpoints"),
            tie_word_embeddings=published.get("tie_word_embeddings", False),
        )
    except (ValueError, TypeError) as error:
        raise CheckpointError(folder, [f"config.json: {error}"]) from error


def convert(folder: Path, out: Path, vision_tower: Path | None = None) -> None:
    """Read a published checkpoint and write ours, with the tokenizer if there is one.

    Raises:
        CheckpointError: nothing has been written then.
    """
    model = load_published(folder, vision_tower)
    model.save_pretrained(out)
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        VideoXLProcessor.for_model(model.config, tokenizer).save_pretrained(out)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(folder, ["there is no config.json"])
    try:
        published = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(folder, [f"config.json cannot be read: {error}"]) from error
    if not isinstance(published, dict):
        raise CheckpointError(folder, ["config.json is not a JSON object"])
    # A later release of the same code names the class's own type.
    if published.get("model_type") not in ("qwen2", "llava_qwen"):
        raise CheckpointError(
            folder, [f"config.json says model_type={published.get('model_type')!r}; Video-XL's says 'qwen2'"]
        )
    return published


def _vision_config(published: dict[str, Any], vision_tower: Path | None) -> CLIPVisionConfig:
    named = Path(published.get("mm_vision_tower") or "")
    folder = vision_tower or (named if (named / "config.json").is_file() else None)
    if folder is None:
        return CLIPVisionConfig(**CLIP_L_14_336)
    if not (folder / "config.json").is_file():
        raise ValueError(f"--vision-tower {folder} holds no config.json")
    return CLIPVisionConfig.from_pretrained(folder)


def _our_weights(folder: Path, config: VideoXLConfig) -> dict[str, Tensor]:
    """All weights under our names, checked against what the configuration wants."""
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in VideoXLForConditionalGeneration(config).state_dict().items()}
    weights: dict[str, Tensor] = {}
    problems: list[str] = []
    for published, tensor in _read_tensors(folder):
        ours = our_name(published)
        if ours in wanted:
            weights[ours] = _cut_vocabulary(published, tensor, wanted[ours])
        elif not IGNORED.search(published):
            problems.append(f"{published}: no such weight in Video-XL of these sizes")
    tied = config.tie_word_embeddings and "lm_head.weight" not in weights
    if tied and "model.language_model.embed_tokens.weight" in weights:
        weights["lm_head.weight"] = weights["model.language_model.embed_tokens.weight"]
    problems += [f"{name}: missing" for name in wanted if name not in weights]
    problems += [
        f"{name}: shape {list(tensor.shape)}, but the configuration wants {list(wanted[name])}"
        for name, tensor in weights.items()
        if tensor.shape != wanted[name]
    ]
    problems += [
        f"{name}: holds NaN or infinite values" for name, tensor in weights.items() if not torch.isfinite(tensor).all()
    ]
    if problems:
        raise CheckpointError(folder, problems)
    return weights


def _cut_vocabulary(name: str, tensor: Tensor, wanted: torch.Size) -> Tensor:
    """Drop rows that the published loader appends to the vocabulary each time it resizes it; they are
    random.
    """
    grown = name in ("model.embed_tokens.weight", "lm_head.weight") and tensor.dim() == 2
    if grown and tensor.shape[0] == wanted[0] + 1 and tensor.shape[1] == wanted[1]:
        return tensor[: wanted[0]].clone()
    return tensor


def _read_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a checkpoint, one file or shards, safetensors before `.bin`."""
    files, problems = _weight_files(folder)
    if problems:
        raise CheckpointError(folder, problems)
    for path in files:
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as file:
                    yield from ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 (no mapping)
            else:
                yield from torch.load(path, map_location="cpu", weights_only=True, mmap=True).items()
        except (SafetensorError, RuntimeError, OSError, EOFError, ValueError) as error:
            raise CheckpointError(folder, [f"{path.name} cannot be read: {str(error).splitlines()[0]}"]) from error
        except Exception as error:
            # torch.load reports a pickle that holds more than tensors with an exception of the pickle module.
            if type(error).__module__ not in ("_pickle", "pickle"):
                raise
            raise CheckpointError(folder, [f"{path.name} holds more than tensors, and is not loaded"]) from error


def _weight_files(folder: Path) -> tuple[list[Path], list[str]]:
    for index, single in (
        ("model.safetensors.index.json", "model.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ):
        if (folder / index).is_file():
            names = sorted(set(json.loads((folder / index).read_text())["weight_map"].values()))
            missing = [f"{index} names {name}, which is not there" for name in names if not (folder / name).is_file()]
            return [folder / name for name in names], missing
        if (folder / single).is_file():
            return [folder / single], []
    return [], ["there are no weights (model*.safetensors or pytorch_model*.bin)"]


def _rebuild_buffers(model: VideoXLForConditionalGeneration) -> None:
    """Buffers that no checkpoint holds, made where the weights are."""
    for module in model.modules():
        position_ids = getattr(module, "position_ids", None)
        if isinstance(position_ids, Tensor) and position_ids.is_meta:
            module.position_ids = torch.arange(position_ids.shape[-1]).expand(position_ids.shape)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.convert", description=__doc__.split("\n\n")[0])
    parser.add_argument("published", type=Path, help="folder of the published checkpoint")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--vision-tower", type=Path, help="folder with the config.json of the CLIP tower")
    options = parser.parse_args(arguments)
    try:
        convert(options.published, options.out, options.vision_tower)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
