"""The haystack: frames of a long video, one a second, through the vision tower once for all cells."""
# ruff: noqa: N803, N806 (names end in the shape of the tensor)

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from model.evaluation.methods.watch import Looked, encoded
from model.evaluation.needles.needle import Needle
from model.modeling_video_xl import VideoXLForConditionalGeneration
from pipeline import decode


class ShortHayError(Exception):
    """The video has fewer seconds than frames are asked for."""


@dataclass(frozen=True)
class Hay:
    """Visual tokens of a video, in main memory: 1 MB a frame at 7B sizes.

    Attributes:
        frames: time in seconds, and visual tokens [V, C], of each.
    """

    frames: list[Looked]

    def around(self, needle_VC: Tensor, length: int, depth: float) -> Iterator[Looked]:
        """The first `length` frames with a needle among them: `length` + 1 frames.

        Args:
            needle_VC: visual tokens of the needle.
            length: frames of hay.
            depth: share of the hay that comes before the needle, 0 to 1.
        """
        place, device = int(depth * length), needle_VC.device
        for time_s, tokens_VC in self.frames[:place]:
            yield time_s, tokens_VC.to(device)
        yield None, needle_VC
        for time_s, tokens_VC in self.frames[place:length]:
            yield time_s, tokens_VC.to(device)


def read_hay(model: VideoXLForConditionalGeneration, video: Path, length: int) -> Hay:
    """Encode the first `length` seconds of a video.

    Raises:
        ShortHayError: it has fewer.
        pipeline.decode.UnreadableVideoError: it cannot be decoded.
    """
    facts = decode.read_facts(str(video))
    if facts.duration_s < length:
        raise ShortHayError(
            f"{video} lasts {facts.duration_s:.0f} seconds: at one frame a second it has no {length} frames. Name "
            "shorter --lengths or a longer video")
    pictures = decode.pick_frames(str(video), facts, list(map(float, range(length))))
    return Hay([(time_s, tokens_VC.cpu()) for time_s, tokens_VC in encoded(model, pictures)])


def needle_tokens(model: VideoXLForConditionalGeneration, needle: Needle) -> Tensor:
    """Visual tokens [V, C] of a needle, which is shown as one frame."""
    [(_, tokens_VC)] = encoded(model, [needle.picture])
    return tokens_VC
