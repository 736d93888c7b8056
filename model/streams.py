"""What a prompt says: text tokens and media, sample by sample, ready to be planned.

The ids of a prompt hold one mark (`config.media_token_id`) for each medium. A medium is a video, an image cut
into tiles, or anything else made of frames: a number of crops of the same size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.configuration import VideoXLConfig
from model.ratio_choice import RatioChoice, check_ratio, ratio_per_window
from model.window_layout import Part, Text, Visual, window_lengths


@dataclass
class Stream:
    """One sample.

    Attributes:
        ids: ids of its text tokens, marks left out.
        parts: text and spans of visual tokens, in order.
        places: for each id of the prompt, marks included, its place among all tokens of the stream. A mark's
            place is the medium's last visual token: what is predicted there is the token behind the mark.
        crops: how many frames and tiles its media have.
    """

    ids: Tensor
    parts: list[Part]
    places: list[int]
    crops: int

    @property
    def ratios(self) -> tuple[int, ...]:
        """The ratio of each window, spans one after another."""
        return tuple(ratio for part in self.parts if isinstance(part, Visual) for ratio in part.ratios)


def read_streams(
    ids_of_samples: Sequence[Tensor],
    media_sizes: Sequence[int],
    ratios: Sequence[RatioChoice],
    config: VideoXLConfig,
    questions_of_samples: Sequence[Tensor] | None = None,
) -> list[Stream]:
    """Match marks with media and choose the ratios.

    Args:
        ids_of_samples: the prompt of each sample, without padding.
        media_sizes: frames or tiles of each medium, in the order of the marks, sample by sample.
        ratios: ratio choice of each sample.
        questions_of_samples: for each id 0, or the number of the packed question that it belongs to. All
            questions stand behind what they share, as if each were the only one.

    Raises:
        ValueError: marks and media differ in number, a medium has no frames, a sample is empty, a ratio does
            not fit, or packed questions hold media or stand in front of what they share.
    """
    marks = [int((ids == config.media_token_id).sum()) for ids in ids_of_samples]
    if sum(marks) != len(media_sizes):
        raise ValueError(
            f"the prompts hold {sum(marks)} media marks, but {len(media_sizes)} media were given: write one mark "
            "for each video or image, where it belongs"
        )
    for number, size in enumerate(media_sizes):
        if size < 1:
            raise ValueError(f"medium {number} has {int(size)} frames: give at least one frame each")
    for ratio in ratios:
        check_ratio(ratio, config)
    streams, medium = [], 0
    questions_of_samples = questions_of_samples or [torch.zeros_like(ids) for ids in ids_of_samples]
    for ids, count, ratio, questions in zip(ids_of_samples, marks, ratios, questions_of_samples, strict=True):
        sizes = [int(size) for size in media_sizes[medium : medium + count]]
        streams.append(_read_stream(ids, sizes, ratio, config, questions))
        medium += count
    return streams


def _read_stream(
    ids: Tensor,
    sizes: list[int],
    ratio: RatioChoice,
    config: VideoXLConfig,
    questions: Tensor,
) -> Stream:
    if ids.numel() == 0:
        raise ValueError("a prompt is empty: give at least one token")
    is_mark = ids == config.media_token_id
    _check_questions(questions, is_mark)
    runs: list[tuple[tuple[bool, int], int]] = []  # (visual or not, question), tokens
    places, total, medium = [], 0, 0
    for kind in zip(is_mark.tolist(), questions.tolist(), strict=True):
        tokens = sizes[medium] * config.tokens_per_crop if kind[0] else 1
        medium += kind[0]
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + tokens)
        else:
            runs.append((kind, tokens))
        total += tokens
        places.append(total - 1)
    spans = [tokens for (visual, _), tokens in runs if visual]
    chosen = iter(_ratios_of_spans(ratio, spans, config))
    parts = [
        Visual(tokens, next(chosen)) if visual else Text(tokens, blind=question > 0)
        for (visual, question), tokens in runs
    ]
    return Stream(ids[~is_mark], parts, places, sum(sizes))


def _check_questions(questions: Tensor, is_mark: Tensor) -> None:
    if (is_mark & (questions > 0)).any():
        raise ValueError("a packed question holds a media mark: media belong to what the questions share")
    if (questions.diff() < 0).any():
        raise ValueError(
            "question_ids must not fall along a sample: what is shared first (0), then questions 1, 2, ..."
        )


def _ratios_of_spans(ratio: RatioChoice, spans: list[int], config: VideoXLConfig) -> list[tuple[int, ...]]:
    """A sequence of ratios runs on over all spans of a sample; other choices serve every span alike."""
    if not isinstance(ratio, Sequence):
        return [ratio_per_window(ratio, tokens, config) for tokens in spans]
    counts = [len(window_lengths(tokens, config.window_tokens)) for tokens in spans]
    if sum(counts) != len(ratio):
        raise ValueError(
            f"the media of this sample make {sum(counts)} windows, but {len(ratio)} ratios were given: give one "
            "ratio for all windows or one for each"
        )
    ends = torch.tensor(counts).cumsum(0).tolist()
    return [
        ratio_per_window(ratio[end - count : end], tokens, config)
        for tokens, count, end in zip(spans, counts, ends, strict=True)
    ]
