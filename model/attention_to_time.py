"""Attention to what a memory keeps, as seconds of the video.

    kept VSTs ----each over the visual tokens it stands for---> tokens ----> frames ----their times----> spans

`model/window_layout.py` says which tokens a VST stands for: the `ratio` tokens in front of it in its window. Its share
is spread evenly over them, and the shares of a frame's tokens are summed. A frame stands for the time from its own to
the next one's.

A span is a run of frames whose share is at least `AT_LEAST` of the largest. (Class activation maps are cut in this way,
at 0.2: Zhou et al., arXiv 1512.04150; at one half a lone peak keeps its width at half its height.)

K kept VSTs, R parts of an answer, F frames.
"""
# ruff: noqa: N803, N806 (names end in the shape of the array)

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from model.window_layout import kept_count

if TYPE_CHECKING:
    from model.memory import Memory

AT_LEAST = 0.5
LONE_FRAME_S = 1.0
"""What a last frame stands for that has none at an earlier time, where nobody says how long the video is."""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A stretch of a video in seconds, and its share of the attention that went to the video."""

    start_s: float
    end_s: float
    share: float


def frame_shares(memory: "Memory", video_RK: np.ndarray) -> np.ndarray:
    """The attention to each frame, [R, F]; a part's sum stays what it is.

    Tokens behind the last VST of a short window left no trace (`model/window_layout.py`), so they get nothing.

    Args:
        memory: that was asked; its stream may still be open.
        video_RK: attention of each part of an answer to each kept VST.

    Raises:
        ValueError: another number of VSTs than the memory keeps.
    """
    first_K, last_K = _token_ranges(memory)
    if video_RK.shape[1] != len(first_K):
        raise ValueError(f"{video_RK.shape[1]} weights were given, but the memory keeps {len(first_K)} VSTs")
    tokens = int(last_K[-1]) + 1 if len(last_K) else 0
    tokens_RV = _spread(video_RK, first_K, last_K, tokens)
    if memory.state.token_frames is None:
        first_V = last_V = np.arange(tokens) // memory.tokens_per_frame
    else:
        first_V, last_V = np.array(memory.state.token_frames[:tokens], np.int64).reshape(-1, 2).T
    return _spread(tokens_RV, first_V, last_V, memory.frames)


def _token_ranges(memory: "Memory") -> tuple[np.ndarray, np.ndarray]:
    """First and last visual token that each kept VST stands for, the unfinished window's included: int64 [K] each."""
    lengths = [*memory.state.window_tokens, *([memory.raw_tokens] if memory.raw_tokens else [])]
    ratios = memory.cache().streams[0].ratios
    firsts, lasts, start = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for tokens, ratio in zip(lengths, ratios, strict=True):
        first = start + ratio * np.arange(kept_count(tokens, ratio))
        firsts.append(first)
        lasts.append(np.minimum(first + ratio, start + tokens) - 1)
        start += tokens
    return np.concatenate(firsts), np.concatenate(lasts)


def _spread(values_RN: np.ndarray, first_N: np.ndarray, last_N: np.ndarray, places: int) -> np.ndarray:
    """Each value spread evenly over the places from its first to its last, summed: [R, places]."""
    spread = np.zeros((len(values_RN), places + 1))
    for row, values in zip(spread, values_RN.astype(np.float64) / (last_N - first_N + 1), strict=True):
        np.add.at(row, first_N, values)
        np.subtract.at(row, last_N + 1, values)
    return np.maximum(spread.cumsum(1)[:, :-1], 0.0)  # sums leave a rounding error where nothing is


def frame_edges(times_s: Sequence[float | None], end_s: float | None = None) -> np.ndarray:
    """Where the time of each frame begins and ends, in seconds: [F + 1], never falling.

    Args:
        times_s: of the frames.
        end_s: of the video; left out: the last frame lasts as long as the one before.

    Raises:
        ValueError: no frame, a frame without a time, or times that fall.
    """
    if not times_s or any(time_s is None for time_s in times_s):
        raise ValueError("frames without times cannot be placed in the video: compress pairs of (seconds, frame)")
    times = np.array(times_s, np.float64)
    if (np.diff(times) < 0).any():
        raise ValueError("the frames are not in the order of time: there is no span of time to point at")
    last_s = times[-1] - times[-2] if len(times) > 1 and times[-1] > times[-2] else LONE_FRAME_S
    end = times[-1] + last_s if end_s is None or end_s <= times[-1] else end_s
    return np.append(times, end)


def spans_above(shares_F: np.ndarray, edges: np.ndarray, most: int = 3) -> list[TimeSpan]:
    """The spans that are looked at most, the one with the largest share first; see the top of the file.

    Args:
        shares_F: attention to each frame.
        edges: of the frames' times, [F + 1].
        most: so many spans at most.
    """
    total = shares_F.sum()
    if not total > 0:
        return []
    above = np.concatenate(([False], shares_F >= AT_LEAST * shares_F.max(), [False]))
    begins, ends = (np.flatnonzero(turn) for turn in (above[1:] & ~above[:-1], above[:-1] & ~above[1:]))
    spans = [TimeSpan(float(edges[begin]), float(edges[end]), float(shares_F[begin:end].sum() / total))
             for begin, end in zip(begins, ends, strict=True)]
    return sorted(spans, key=lambda span: -span.share)[:most]


def spans_in_order(shares_RF: np.ndarray, edges: np.ndarray) -> list[TimeSpan]:
    """The video cut into one span for each part of an answer, in their order: the cuts under which the parts' shares
    of their own spans have the largest sum (dynamic programming; R F steps).

    What all parts look at alike, such as the first frame, does not move the cuts: every frame is in one span.

    Args:
        shares_RF: attention of each part to each frame; at most as many parts as frames are placed.
        edges: of the frames' times, [F + 1].
    """
    totals = shares_RF.sum(1, keepdims=True)
    own_RF = np.divide(shares_RF, totals, out=np.zeros_like(shares_RF), where=totals > 0)[:shares_RF.shape[1]]
    parts, frames = own_RF.shape
    sums = np.concatenate((np.zeros((parts, 1)), own_RF.cumsum(1)), 1)  # of the frames before a cut
    best = np.full((parts + 1, frames + 1), -np.inf)  # with so many parts before a cut
    best[0, 0] = 0.0
    came_from = np.zeros((parts + 1, frames + 1), np.int64)
    for part in range(parts):
        gains = best[part] - sums[part]
        reached, at = -np.inf, 0
        for cut in range(1, frames + 1):
            if gains[cut - 1] > reached:
                reached, at = gains[cut - 1], cut - 1
            best[part + 1, cut], came_from[part + 1, cut] = reached + sums[part, cut], at
    cuts = [frames]
    for part in range(parts, 0, -1):
        cuts.append(int(came_from[part, cuts[-1]]))
    cuts.reverse()
    return [TimeSpan(float(edges[begin]), float(edges[end]), float(own_RF[part, begin:end].sum()))
            for part, (begin, end) in enumerate(pairwise(cuts))]
