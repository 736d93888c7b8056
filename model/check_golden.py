"""Check this implementation against golden numbers of the published one.

    python -m model.check_golden DIR [--cases TEXT] [--attention eager sdpa flex_attention]

Every inference case is computed window by window, in grouped passes, and as a compressed memory that is then
asked, each with every attention implementation. One line a case, with its largest difference; exit code 1 if
one is beyond the tolerance of the manifest.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers.models.qwen2.modeling_qwen2 import rotate_half

from model.convert import CheckpointError, load_published
from model.golden_cases import GoldenFolder
from model.image_tiles import best_canvas, image_tiles
from model.memory import Memory
from model.published_names import our_name
from model.rotary import rotary_tables
from model.vision import patch_features, pool_patches
from model.window_layout import Step, Text, Visual, plan_steps, window_lengths

ATTENTION = ("eager", "sdpa", "flex_attention")
WINDOWS_PER_PASS = (1, 2)
NOISE = 1e-4  # gradients with smaller norms are rounding noise, as the manifest says

Differences = Iterator[tuple[str, float, float]]
"""What was compared, the largest difference, the tolerance."""


class GoldenCheck:
    """Checks of one golden folder.

    Args:
        folder: the numbers.
        attention: attention implementations to go through.
    """

    def __init__(self, folder: GoldenFolder, attention: tuple[str, ...] = ATTENTION) -> None:
        self.folder = folder
        self.attention = attention
        tower = folder.path / "clip"
        self.model = load_published(folder.path / "published", tower if tower.is_dir() else None)

    def run(self, name: str) -> tuple[float | None, float, list[str]]:
        """Largest difference of a case (None: nothing to compare here), its share of the tolerance, what
        missed.
        """
        case = self.folder.cases[name]
        checks: dict[str, Callable[[str, dict[str, Any]], Differences]] = {
            "video_prefill": self._video,
            "greedy": self._greedy,
            "visual": self._visual,
            "visual_anyres": self._tiles,
            "image_prefill": self._image,
            "text_only": self._text,
            "multi_image_as_is": self._first_image_only,
            "multi_image_concat": self._images,
            "train": self._train,
        }
        largest, share, missed = None, 0.0, []
        for what, difference, tolerance in checks[case["kind"]](name, case):
            largest, share = max(largest or 0.0, difference), max(share, difference / tolerance)
            if not difference <= tolerance:  # NaN misses too
                missed.append(f"{what}: {difference:.2e} > {tolerance:.0e}")
        self.model.set_attn_implementation("sdpa")
        return largest, share, missed

    def _video(self, name: str, case: dict[str, Any]) -> Differences:
        ids = self.folder.ids(case, self.model.config.media_token_id)
        pixels = self.folder.pixels(case)
        ratio = case["ratios_chosen"]
        yield "window plan", float(self._plan_difference(name, case)), 0.5
        expected = self.folder.tensor(f"{name}.logits_text_after")
        yield from self._every_way(ids, {"pixel_values": pixels}, ratio, expected)
        if case["has_kv"]:
            yield (
                "kept keys and values",
                self._kept_difference(name, ids, pixels, ratio),
                self.folder.tolerance("kv_atol"),
            )

    def _image(self, name: str, case: dict[str, Any]) -> Differences:
        image = case["image"]
        if self.folder.has(f"{image}.tiles_u8"):
            pixels = {"pixel_values": self.folder.image_pixels(image)}
        else:
            pixels = {"visual_tokens": self.folder.tensor(f"{image}.tokens")}
        ids = self.folder.ids(case, self.model.config.media_token_id)
        expected = self.folder.tensor(f"{name}.logits_text_after")
        yield from self._every_way(ids, pixels, case["ratio"], expected)
        if "greedy12" in case:
            wanted = torch.tensor(case["greedy12"])
            new = self._generate(ids, {**pixels, "ratio": case["ratio"]}, len(wanted))[0]
            yield "greedy ids", float((new[0] != wanted).sum()), 0.5

    def _images(self, name: str, case: dict[str, Any]) -> Differences:
        """Three images where the published input has one mark; their stored tokens go in."""
        tokens = [self.folder.tensor(f"multi{i}.tokens") for i in range(3)]
        sizes = [len(one) // self.model.config.tokens_per_crop for one in tokens]
        media = {"visual_tokens": torch.cat(tokens), "media_sizes": sizes}
        ids = self.folder.ids(case, self.model.config.media_token_id, media=3)
        expected = self.folder.tensor(f"{name}.logits_text_after")
        yield from self._every_way(ids, media, case["ratio"], expected)

    def _first_image_only(self, name: str, case: dict[str, Any]) -> Differences:
        """What the published code makes of several images: the first one, then marks embedded as text."""
        first = self.folder.tensor("multi0.tokens")
        ids = self.folder.ids(case, self.folder.manifest["special_image_id"])
        own_mark, text_mark = self.model.config.media_token_id, self.folder.manifest["special_image_id"]
        unused = next(i for i in range(self.model.config.text_config.vocab_size) if not (ids == i).any())
        ids[0, (ids[0] == text_mark).nonzero()[0]] = unused
        self.model.config.media_token_id = unused
        expected = self.folder.tensor(f"{name}.logits_last_window")
        try:
            yield from self._every_way(ids, {"visual_tokens": first}, case["ratio"], expected)
        finally:
            self.model.config.media_token_id = own_mark

    def _text(self, name: str, case: dict[str, Any]) -> Differences:
        ids = self.folder.ids(case, self.model.config.media_token_id)
        expected = self.folder.tensor(f"{name}.logits")
        for implementation in self.attention:
            self.model.set_attn_implementation(implementation)
            with torch.no_grad():
                logits = self.model(ids).logits[0]
            yield implementation, _largest(logits, expected), self.folder.tolerance("logits_atol")

    def _greedy(self, name: str, case: dict[str, Any]) -> Differences:
        ids = self.folder.ids(case, self.model.config.media_token_id)
        media = {"pixel_values": self.folder.pixels(case)}
        expected = self.folder.tensor(f"{name}.new_ids")
        stored, tolerance = self.folder.tensor(f"{name}.step_logits"), self.folder.tolerance("logits_atol")
        for implementation in self.attention:
            self.model.set_attn_implementation(implementation)
            ways = {
                f"{windows} a pass": (ids, {**media, "ratio": case["ratio"], "windows_per_pass": windows})
                for windows in WINDOWS_PER_PASS
            }
            memory, suffix = self._watched(ids, media, case["ratio"])
            ways["memory"] = suffix, {"past_key_values": memory.cache()}
            for way, (prompt, inputs) in ways.items():
                new, logits = self._generate(prompt, inputs, len(expected))
                yield f"{implementation}, {way}: ids", float((new[0] != expected).sum()), 0.5
                yield f"{implementation}, {way}: logits", _largest(logits, stored), tolerance

    @torch.no_grad()
    def _visual(self, name: str, case: dict[str, Any]) -> Differences:
        inner, config, tolerance = (
            self.model.model,
            self.model.config,
            self.folder.tolerance("visual_tokens_atol"),
        )
        pixels = self.folder.pixels(case)
        features = patch_features(inner.vision_tower, pixels, config.tower_layers_used)
        yield "patches", _largest(features, self.folder.tensor("frames2.clip_patch_features")), tolerance
        projected = inner.projector(features)
        yield "projector", _largest(projected, self.folder.tensor("frames2.projector_out")), tolerance
        yield "tokens", _largest(inner.encode(pixels), self.folder.tensor("frames2.video_tokens")), tolerance
        name = "frames2.video_tokens_select_layer_minus1"
        if self.folder.has(name):
            last = patch_features(inner.vision_tower, pixels, config.vision_config.num_hidden_layers)
            tokens = pool_patches(inner.projector(last), config.pool_stride).flatten(0, 1)
            yield "last layer", _largest(tokens, self.folder.tensor(name)), tolerance

    @torch.no_grad()
    def _tiles(self, name: str, case: dict[str, Any]) -> Differences:
        """Tokens of an image; where its pixels are stored, also the tiles cut from it. Else only its token
        count.
        """
        image = name.removeprefix("visual_")
        config = self.model.config
        canvas = best_canvas(*case["size_wh"], config.grid_pinpoints)
        yield "canvas", float(list(canvas) != list(case["best_resolution_wh"])), 0.5
        tile = config.vision_config.image_size
        tokens = config.tokens_per_crop * (canvas[0] // tile) * (canvas[1] // tile)
        yield "token count", float(abs(tokens - case["tokens_shape"][0])), 0.5
        if self.folder.has(f"{image}.rgb_hwc_u8"):
            picture = Image.fromarray(self.folder.tensor(f"{image}.rgb_hwc_u8").numpy())
            cut = torch.stack(
                [
                    torch.frombuffer(bytearray(t.tobytes()), dtype=torch.uint8)
                    for t in image_tiles(picture, config.grid_pinpoints, tile)
                ]
            )
            stored = self.folder.tensor(f"{image}.tiles_u8")[1:]
            stored = stored if stored.shape[-1] == 3 else stored.permute(0, 2, 3, 1)
            yield "tiles (grey levels)", float((cut.int() - stored.reshape(cut.shape).int()).abs().max()), 0.5
        if self.folder.has(f"{image}.tiles_u8"):
            encoded = self.model.model.encode(self.folder.image_pixels(image))
            tolerance = self.folder.tolerance("visual_tokens_atol")
            yield "tokens", _largest(encoded, self.folder.tensor(f"{image}.tokens")), tolerance

    def _train(self, name: str, case: dict[str, Any]) -> Differences:
        ids = self.folder.ids(case, self.model.config.media_token_id)
        labels = torch.tensor([case["labels"]])
        pixels = self.folder.pixels(case)
        for implementation in (one for one in self.attention if one != "flex_attention" or torch.cuda.is_available()):
            self.model.set_attn_implementation(implementation)
            for windows in (None, *WINDOWS_PER_PASS):
                how = f"{implementation}, {windows or 'all'} windows a pass"
                self.model.zero_grad(set_to_none=True)
                out = self.model(ids, pixel_values=pixels, ratio=case["ratio"], labels=labels, windows_per_pass=windows)
                out.loss.backward()
                yield f"{how}: loss", abs(out.loss.item() - case["loss"]), self.folder.tolerance("loss_atol")
                stored = self.folder.tensor(f"{name}.logits_last_window")
                yield (
                    f"{how}: logits",
                    _largest(out.logits[0, -len(stored) :], stored),
                    self.folder.tolerance("logits_atol"),
                )
                yield (
                    f"{how}: gradients",
                    self._gradient_difference(name, case),
                    self.folder.tolerance("grad_rel_l2"),
                )
        self.model.zero_grad(set_to_none=True)

    def _gradient_difference(self, name: str, case: dict[str, Any]) -> float:
        """Largest relative difference over all norms and all stored gradients."""
        gradients = {key: parameter.grad for key, parameter in self.model.named_parameters()}
        largest = 0.0
        for published, norm in case["grad_norms"].items():
            gradient = gradients[our_name(published)]
            if norm is None or norm < NOISE:
                largest = max(largest, 0.0 if gradient is None or gradient.norm() < NOISE else float("inf"))
                continue
            largest = max(largest, abs(gradient.norm().item() - norm) / norm)
            if self.folder.has(f"{name}.grad.{published}"):
                stored = self.folder.tensor(f"{name}.grad.{published}")
                largest = max(largest, ((gradient - stored).norm() / stored.norm()).item())
        return largest

    @torch.no_grad()
    def _every_way(self, ids: Tensor, media: dict[str, Any], ratio: Any, expected: Tensor) -> Differences:
        """Loop, groups, and compress + answer, with each attention implementation."""
        tolerance = self.folder.tolerance("logits_atol")
        for implementation in self.attention:
            self.model.set_attn_implementation(implementation)
            for windows in WINDOWS_PER_PASS:
                logits = self.model(ids, **media, ratio=[ratio], windows_per_pass=windows).logits[0]
                yield (
                    f"{implementation}, {windows} a pass",
                    _largest(logits[-len(expected) :], expected),
                    tolerance,
                )
            logits = self._asked(ids, media, ratio)
            yield (
                f"{implementation}, memory",
                _largest(logits[-len(expected) :], expected[-len(logits) :]),
                tolerance,
            )

    def _asked(self, ids: Tensor, media: dict[str, Any], ratio: Any) -> Tensor:
        """Logits of the text behind the media, from a memory of them."""
        memory, suffix = self._watched(ids, media, ratio)
        return self.model(suffix, past_key_values=memory.cache()).logits[0]

    def _watched(self, ids: Tensor, media: dict[str, Any], ratio: Any) -> tuple[Memory, Tensor]:
        """A memory of the media behind what stands in front of them, and the ids behind."""
        marks = (ids[0] == self.model.config.media_token_id).nonzero().squeeze(1)
        prefix, suffix = ids[0, : marks[0]], ids[:, marks[-1] + 1 :]
        if "pixel_values" in media:
            pixels = media["pixel_values"]
            return self.model.compress(pixels, ratio=ratio, prefix_ids=prefix, windows_per_pass=2), suffix
        return Memory.begin(self.model, prefix, ratio).extend_tokens(media["visual_tokens"]), suffix

    def _generate(self, ids: Tensor, inputs: dict[str, Any], count: int) -> tuple[Tensor, Tensor]:
        """New ids [1, count] and their logits [count, vocabulary], greedily."""
        out = self.model.generate(
            input_ids=ids,
            **inputs,
            max_new_tokens=count,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return out.sequences[:, ids.shape[1] :], torch.cat(out.logits)

    def _steps(self, case: dict[str, Any]) -> list[Step]:
        per_frame, window = self.model.config.tokens_per_crop, self.model.config.window_tokens
        tokens = case["F"] * per_frame
        ratios = tuple(case["ratios_chosen"])
        assert len(ratios) == len(window_lengths(tokens, window))
        return plan_steps([Text(case["n_before"]), Visual(tokens, ratios), Text(case["n_after"])], window)

    def _plan_difference(self, name: str, case: dict[str, Any]) -> int:
        """How many VST places, positions and step sizes differ from the stored ones."""
        wrong = 0
        steps = self._steps(case)
        for number, step in enumerate(steps):
            if self.folder.has(f"{name}.step{number}.beacon_index"):
                slots = torch.tensor(step.vst_slots)
                places = self.folder.tensor(f"{name}.step{number}.beacon_index").long()
                positions = self.folder.tensor(f"{name}.step{number}.beacon_pos").long()
                wrong += int((slots != places).sum()) + int((slots + step.first_rank != positions).sum())
        stored = [s for s in case["steps"] if s["n_beacon"]]
        ours = [(len(s.vst_slots), s.first_rank, s.slots) for s in steps if s.is_window]
        return wrong + sum(
            a != (s["n_beacon"], s["mem_size_before"], s["q_len"]) for a, s in zip(ours, stored, strict=True)
        )

    @torch.no_grad()
    def _kept_difference(self, name: str, ids: Tensor, pixels: Tensor, ratio: Any) -> float:
        """Kept keys and values against the stored ones, whose keys are not rotated yet."""
        out = self.model(ids, pixel_values=pixels, ratio=[ratio], windows_per_pass=2)
        largest = 0.0
        for layer, (k, v) in enumerate(out.past_key_values.streams[0].rows.contiguous()):
            stored_k, stored_v = (
                torch.cat(
                    [self.folder.tensor(f"{name}.kv.layer{layer}.{part}_{what}") for part in ("sink", "beacon", "raw")],
                    1,
                )
                for what in ("key", "value")
            )
            positions = torch.arange(stored_k.shape[1])
            cos, sin = rotary_tables(self.model.config.text_config, "published", positions, stored_k.dtype)
            rotated = stored_k * cos + rotate_half(stored_k) * sin
            largest = max(largest, _largest(k, rotated), _largest(v, stored_v))
        return largest


def _largest(ours: Tensor, expected: Tensor) -> float:
    """Largest difference; infinite where shapes differ.

    A checkpoint saved by the published loader has one vocabulary row more than its logits are of.
    """
    if ours.shape[:-1] == expected.shape[:-1] and ours.shape[-1] == expected.shape[-1] + 1:
        ours = ours[..., :-1]
    return (ours - expected).abs().max().item() if ours.shape == expected.shape else float("inf")


def _line(name: str, largest: float | None, share: float, missed: list[str]) -> str:
    if largest is None:
        return f"none {name:36s} flex attention has no backward on a CPU"
    verdict = "MISS" if missed else "ok  "
    head = f"{verdict} {name:36s} {largest:.2e}  ({share:.0%} of the tolerance)"
    return "\n     ".join([head, *missed])


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.check_golden", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="folder with manifest.json and the golden tensors")
    parser.add_argument("--cases", default="", help="only cases whose names hold this text")
    parser.add_argument("--attention", nargs="+", choices=ATTENTION, default=ATTENTION)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
    try:
        check = GoldenCheck(GoldenFolder(options.folder), tuple(options.attention))
    except (FileNotFoundError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 2
    names = [name for name in check.folder.cases if options.cases in name]
    failures = 0
    for name in names:
        largest, share, missed = check.run(name)
        failures += bool(missed)
        print(_line(name, largest, share, missed), flush=True)
    print(f"{len(names) - failures} of {len(names)} cases within tolerance")
    return int(failures > 0 or not names)


if __name__ == "__main__":
    sys.exit(main())
