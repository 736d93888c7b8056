"""Where in a video the model looked while it said something.

The answer is run once more behind the memory (`model/answer_attention.py`), its attention to the VSTs becomes shares
of frames (`model/attention_to_time.py`), and these become spans. Attention is where the model looked, not a proof of
why it said what it said.
"""
# ruff: noqa: N806 (names end in the shape of the array)

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from model.answer_attention import answer_attention
from model.attention_to_time import TimeSpan, frame_edges, frame_shares, spans_above, spans_in_order

if TYPE_CHECKING:
    from model.memory import Memory
    from model.modeling_video_xl import VideoXLForConditionalGeneration

Placing = Literal["above", "lines"]
"""How attention becomes spans. `above`: where the whole answer looks most. `lines`: a span for each line of the answer,
one behind the other, that cover the video; where nothing is said there is no span.
"""


@dataclass(frozen=True)
class Where:
    """What an answer looked at.

    Attributes:
        edges_s: begin of each frame's time and end of the last, in seconds, [F + 1].
        shares: share of each frame in the attention to the video, [F]; they sum to 1.
        text_share: share of the text in all attention of the answer.
        spans: of `above` the one looked at most first; of `lines` by time, none of an answer without a line.
        lines: of `lines` what is said of each span; otherwise empty.
    """

    edges_s: np.ndarray
    shares: np.ndarray
    text_share: float
    spans: tuple[TimeSpan, ...]
    lines: tuple[str, ...] = ()

    def told(self) -> list[str]:
        """Each span in words: "0:12 to 0:16 (83 % of the attention to the video)"."""
        said = [f"{clock(span.start_s)} to {clock(span.end_s)} ({100 * span.share:.0f} % of the attention to the video)"
                for span in self.spans]
        return [f"{one}: {line}" for one, line in zip(said, self.lines, strict=True)] if self.lines else said

    def as_json(self) -> dict[str, Any]:
        """The spans and the text's share as plain values."""
        lines: Sequence[str | None] = self.lines or [None] * len(self.spans)
        return {
            "text_share": round(self.text_share, 4),
            "spans": [
                {"start_s": round(span.start_s, 3), "end_s": round(span.end_s, 3), "share": round(span.share, 4)}
                | ({} if line is None else {"line": line})
                for span, line in zip(self.spans, lines, strict=True)]}


def where(
    model: "VideoXLForConditionalGeneration", memory: "Memory", question_ids: Sequence[int], answer: str,
    placing: Placing = "above", end_s: float | None = None, layers: Sequence[int] | None = None,
) -> Where:
    """Find where an answer looked.

    Args:
        model: with its processor set.
        memory: that the question was put to; made by this model, of frames with times.
        question_ids: ids of what stands behind the video, up to where the answer begins.
        answer: what the model said.
        placing: how attention becomes spans.
        end_s: of the video, in seconds; left out: the last frame lasts as long as the one before.
        layers: whose attention counts; left out: all.

    Raises:
        ValueError: the memory is another model's, its frames have no rising times, or a layer is not there.
    """
    edges = frame_edges(memory.state.times_s, end_s)
    lines = [line for line in answer.splitlines(keepends=True) if line.strip()] if placing == "lines" else []
    tokenizer = model._need_processor().tokenizer
    # The answer's words are words: a mark of a medium in them is none.
    ids_of_lines = [tokenizer(line, add_special_tokens=False)["input_ids"] for line in lines or [answer]]
    ends = np.cumsum([len(ids) for ids in ids_of_lines]).tolist()
    parts = list(zip([0, *ends], ends, strict=False)) if lines else None
    answer_ids = [token for ids in ids_of_lines for token in ids]
    attention = answer_attention(model, memory, question_ids, answer_ids, parts, layers)
    shares_RF = frame_shares(memory, attention.video_RK.numpy())
    shares_F = shares_RF.mean(0)
    spans: list[TimeSpan] = []
    if placing == "above":
        spans = spans_above(shares_F, edges)
    elif lines:
        spans = spans_in_order(shares_RF, edges)
    said = tuple(line.strip() for line in lines[:len(spans)])
    return Where(edges, shares_F / max(shares_F.sum(), 1e-300), float(attention.text_R.mean()), tuple(spans), said)


def clock(seconds: float) -> str:
    """12.5 as 0:12.5, 3725 as 1:02:05."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    told = f"{rest / 10:04.1f}" if rest % 10 else f"{rest // 10:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{told}" if minutes >= 60 else f"{minutes}:{told}"
