"""What a training run starts from: a model and its processor."""

from collections.abc import Callable, Iterable
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from model.configuration import VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.ratio_choice import check_ratio
from model.training.small_tokenizer import learn_tokenizer
from model.training.train_choices import TrainChoices

_OF_ROTARY_POSITIONS = {"rope_theta", "rope_scaling"}
"""What transformers takes in place of `rope_parameters`."""


class InitialModelError(Exception):
    """There is nothing to start from; the message says what is missing."""


def weight_type(choices: TrainChoices) -> torch.dtype:
    """The type that weights are held in."""
    return torch.bfloat16 if choices.precision == "bfloat16" else torch.float32


def missing_models(choices: TrainChoices) -> list[str]:
    """Folders with models that the choices name and that are not there."""
    named = {"parts": [choices.language_model, choices.vision_tower], "scratch": []}.get(choices.init, [choices.init])
    return [f"{folder}: no model there (no config.json)" for folder in named
            if not (Path(folder) / "config.json").is_file()]


def initial_config(choices: TrainChoices) -> VideoXLConfig:
    """The configuration of the model to start from, read without its weights. A scratch vocabulary may turn out
    smaller once the shards are read.

    Raises:
        InitialModelError: something is missing or does not fit, the ratios that are drawn from included.
    """
    problems = missing_models(choices)
    if problems:
        raise InitialModelError("\n".join(problems))
    try:
        config = _config_to_start_from(choices)
    except (OSError, ValueError) as error:
        raise InitialModelError(str(error)) from error
    try:
        check_ratio(choices.ratio_choices, config)
    except ValueError as error:
        raise InitialModelError(str(error)) from error
    return config


def _config_to_start_from(choices: TrainChoices) -> VideoXLConfig:
    if choices.init == "scratch":
        return scratch_config(choices.sizes, choices.vocabulary + 1)
    if choices.init == "parts":
        return _config(
            Qwen2Config.from_pretrained(choices.language_model), CLIPVisionConfig.from_pretrained(choices.vision_tower),
            choices.sizes)
    kind = VideoXLConfig.get_config_dict(choices.init)[0].get("model_type")
    if kind != VideoXLConfig.model_type:
        raise InitialModelError(
            f"{choices.init} holds a model of type {kind!r}, not {VideoXLConfig.model_type!r}: python -m model.convert "
            "makes one of a published Video-XL, --init parts of a Qwen2 and a CLIP")
    return VideoXLConfig.from_pretrained(choices.init)


def initial_processor(choices: TrainChoices, texts: Callable[[], Iterable[str]]) -> VideoXLProcessor:
    """Tokenizer and pixels of the model to start from.

    Args:
        texts: what the shards say, for a tokenizer made from it.

    Raises:
        InitialModelError: the folder brings no tokenizer.
    """
    config = initial_config(choices)
    if choices.init == "scratch":
        tokenizer = learn_tokenizer(texts(), choices.vocabulary)
        return VideoXLProcessor.for_model(scratch_config(choices.sizes, len(tokenizer) + 1), tokenizer)
    folder = choices.language_model if choices.init == "parts" else choices.init
    if not (Path(folder) / "tokenizer_config.json").is_file():
        raise InitialModelError(f"{folder}: no tokenizer there (no tokenizer_config.json)")
    if choices.init == "parts":
        return VideoXLProcessor.for_model(config, AutoTokenizer.from_pretrained(folder))
    return VideoXLProcessor.from_pretrained(folder)


def initial_model(choices: TrainChoices, processor: VideoXLProcessor) -> VideoXLForConditionalGeneration:
    """The model to start from, on the CPU; the same on every rank.

    Raises:
        InitialModelError: something is missing or does not fit.
    """
    config = initial_config(choices)
    torch.manual_seed(choices.seed)
    if choices.init == "scratch":
        model = VideoXLForConditionalGeneration(scratch_config(choices.sizes, processor.media_token_id + 1))
    elif choices.init == "parts":
        model = _joined(config, Path(choices.language_model), Path(choices.vision_tower))
    else:
        try:
            model = VideoXLForConditionalGeneration.from_pretrained(choices.init, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise InitialModelError(str(error)) from error
        own_memory(model)
    if choices.init in ("scratch", "parts"):
        model.begin_vst(processor.tokenizer.eos_token_id)
        model.generation_config.eos_token_id = processor.tokenizer.eos_token_id  # or it would not stop at its end
    return model.to(weight_type(choices))


def own_memory(model: torch.nn.Module) -> None:
    """Move weights out of the file that they are mapped from.

    There they stand where the file has them, which no allocator would choose, and matrix products of memory that is
    aligned differently differ in their last bits.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def scratch_config(sizes: dict[str, Any], vocabulary: int) -> VideoXLConfig:
    """A configuration of any sizes.

    Args:
        sizes: `text` and `vision`, fields of their configurations; beside them fields of `VideoXLConfig`.
        vocabulary: ids, that of the media mark included.

    Raises:
        InitialModelError: a size is no such field, or sizes contradict one another.
    """
    _check_names("sizes.text", sizes["text"], Qwen2Config, {"vocab_size"})
    _check_names("sizes.vision", sizes["vision"], CLIPVisionConfig, set())
    return _config(Qwen2Config(vocab_size=vocabulary, **sizes["text"]), CLIPVisionConfig(**sizes["vision"]), sizes)


def _check_names(place: str, given: Iterable[str], kind: type[PreTrainedConfig], taken: set[str]) -> None:
    """Refuse names that `kind` would take without a word or that are `taken`: they follow from other choices."""
    known = {*signature(kind).parameters, *_OF_ROTARY_POSITIONS} - taken
    unknown = sorted(set(given) - known)
    if unknown:
        raise InitialModelError(f"{place}: {', '.join(unknown)}: no field of {kind.__name__} that can be chosen here")


def _config(text: Qwen2Config, vision: CLIPVisionConfig, sizes: dict[str, Any]) -> VideoXLConfig:
    others = {name: value for name, value in sizes.items() if name not in ("text", "vision")}
    _check_names("sizes", others, VideoXLConfig, {"text_config", "vision_config", "tie_word_embeddings", "kwargs"})
    try:
        return VideoXLConfig(
            text_config=text, vision_config=vision, tie_word_embeddings=text.tie_word_embeddings, **others)
    except ValueError as error:
        raise InitialModelError(f"sizes: {error}") from error


def _joined(config: VideoXLConfig, language_folder: Path, tower_folder: Path) -> VideoXLForConditionalGeneration:
    """A language model and a tower, with a projector and VSTs between them that have learned nothing."""
    model = VideoXLForConditionalGeneration(config)
    language = Qwen2ForCausalLM.from_pretrained(language_folder, dtype=torch.float32)
    missing, unexpected = model.model.language_model.load_state_dict(language.model.state_dict(), strict=False)
    strange = [name for name in missing if "vst_" not in name] + unexpected
    if strange:
        raise InitialModelError(f"{language_folder} is no Qwen2: {', '.join(strange[:5])}")
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    # By transformers' own class: it takes the tower out of a whole CLIP too, which our subclass of it does not.
    tower, loaded = CLIPVisionModel.from_pretrained(tower_folder, dtype=torch.float32, output_loading_info=True)
    if loaded["missing_keys"]:
        raise InitialModelError(f"{tower_folder} is no CLIP: it lacks {', '.join(sorted(loaded['missing_keys'])[:5])}")
    model.model.vision_tower.load_state_dict(tower.state_dict())
    return model
