"""Which token goes into which window, and where it stands: plain integers, no tensors.

A stream is a list of parts: text, and spans of visual tokens. It is worked off in steps.

* A text step holds all tokens of a text part. All its keys and values are kept.
* A window step holds at most `window_tokens` visual tokens with a VST (visual summarization token) after
  every `ratio` of them. Only the keys and values of its VSTs are kept. At ratio 1 nothing is compressed: the
  window holds no VST, and all its keys and values are kept, as if its tokens were text.

The tokens and VSTs of a step are its *slots*. What was kept before a step, in stream order, is numbered from
0: the number is a kept token's *rank*. A step that begins when M tokens are kept gives its slots the
positions M, M + 1, ... and sees all ranks below M; a kept token's position for every later step is its rank.
For text the two are the same; a VST has one position inside its window and another one in memory.

Visual tokens that stand next to each other in the prompt form one span, whatever media they come from, and a
span is cut into windows from its own start. A span of N visual tokens gets N // ratio VSTs per window, so
that tokens behind the last VST of a short window leave no trace, as published. Here this differs from the
published code: a last window shorter than its ratio, which the published code loses whole, closes with one
VST behind its last token.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A run of `tokens` text tokens. `blind` text is seen by nobody behind it: one of several packed
    questions.
    """

    tokens: int
    blind: bool = False


@dataclass(frozen=True)
class Visual:
    """A span of `tokens` visual tokens, `ratios[i]` being the ratio of its i-th window."""

    tokens: int
    ratios: tuple[int, ...]


Part = Text | Visual


@dataclass(frozen=True)
class Step:
    """One step of a stream.

    Attributes:
        tokens: text or visual tokens, VSTs not counted.
        vst_slots: slots that are VSTs, ascending; empty for text and at ratio 1.
        is_window: whether the tokens are visual.
        first_rank: how many kept tokens stand before this step (M above).
        keeps: whether the step leaves anything for later steps.
    """

    tokens: int
    vst_slots: tuple[int, ...]
    is_window: bool
    first_rank: int
    keeps: bool

    @property
    def slots(self) -> int:
        """Tokens and VSTs."""
        return self.tokens + len(self.vst_slots)

    @property
    def kept_slots(self) -> Sequence[int]:
        """Slots whose keys and values are kept."""
        if not self.keeps:
            return ()
        return self.vst_slots or range(self.slots)


def window_lengths(tokens: int, window_tokens: int) -> list[int]:
    """Visual tokens of each window of a span; only the last may be short."""
    full, rest = divmod(tokens, window_tokens)
    return [window_tokens] * full + ([rest] if rest else [])


def kept_count(tokens: int, ratio: int) -> int:
    """What a window of `tokens` visual tokens leaves: its VSTs, or at ratio 1 its tokens; see also the note on short
    windows at the top.
    """
    return max(1, tokens // ratio)


def vst_slots(tokens: int, ratio: int) -> tuple[int, ...]:
    """Slots of the VSTs of a window: one behind every `ratio` visual tokens; none at ratio 1."""
    if ratio == 1:
        return ()
    if tokens < ratio:
        return (tokens,)
    return tuple(range(ratio, (tokens // ratio) * (ratio + 1), ratio + 1))


def plan_steps(parts: Sequence[Part], window_tokens: int, first_rank: int = 0) -> list[Step]:
    """Cut the parts of one stream into steps, `first_rank` kept tokens standing before them.

    Raises:
        ValueError: a span has another number of ratios than of windows.
    """
    steps: list[Step] = []
    rank = first_rank
    for part in parts:
        if isinstance(part, Text):
            steps.append(Step(part.tokens, (), False, rank, keeps=not part.blind))
            rank += 0 if part.blind else part.tokens
            continue
        lengths = window_lengths(part.tokens, window_tokens)
        if len(lengths) != len(part.ratios):
            raise ValueError(
                f"{part.tokens} visual tokens make {len(lengths)} windows of {window_tokens}, but "
                f"{len(part.ratios)} ratios were given: give one ratio for all windows or one for each"
            )
        for tokens, ratio in zip(lengths, part.ratios, strict=True):
            steps.append(Step(tokens, vst_slots(tokens, ratio), True, rank, keeps=True))
            rank += kept_count(tokens, ratio)
    return steps


def group_steps(steps: Sequence[Step], windows_per_pass: int | None) -> list[list[Step]]:
    """Share consecutive steps out over passes of at most `windows_per_pass` windows.

    None means one pass for everything. 1 gives every step a pass of its own, so that no step ever looks at
    something computed in the same pass: the window-by-window loop.
    """
    if windows_per_pass is None:
        return [list(steps)] if steps else []
    if windows_per_pass == 1:
        return [[step] for step in steps]
    groups: list[list[Step]] = []
    windows = windows_per_pass + 1
    for step in steps:
        windows += step.is_window
        if windows > windows_per_pass:
            groups.append([])
            windows = int(step.is_window)
        groups[-1].append(step)
    return groups
