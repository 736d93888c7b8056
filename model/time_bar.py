"""A bar of time for a terminal: how much of the attention each stretch of a video got, and where the spans are.

    ▁▁▁▁▂▇█▃▁▁▁▁▁▁▁▁▁▁▂▁
         ━━
    0:00            0:40
"""

import numpy as np

from model.where import Where, clock

_LEVELS = "▁▂▃▄▅▆▇█"
_MARK = "━"


def time_bar(found: Where, width: int) -> str:
    """Three lines of `width` characters: levels, spans, and the times of both ends."""
    levels = attention_per_cell(found, width)
    highest = levels.max(initial=0.0)
    steps = np.rint(levels / highest * (len(_LEVELS) - 1)).astype(int) if highest > 0 else np.zeros(width, int)
    begin_s, length_s = found.edges_s[0], found.edges_s[-1] - found.edges_s[0]
    marks = [" "] * width
    for span in found.spans if not found.lines else ():
        first = int((span.start_s - begin_s) / length_s * width)
        last = int(np.ceil((span.end_s - begin_s) / length_s * width))
        marks[first:max(last, first + 1)] = _MARK * max(last - first, 1)
    begin, end = clock(float(found.edges_s[0])), clock(float(found.edges_s[-1]))
    rows = ("".join(_LEVELS[step] for step in steps), "".join(marks[:width]), begin + end.rjust(width - len(begin)))
    return "\n".join(row.rstrip() for row in rows if row.strip())


def attention_per_cell(found: Where, cells: int) -> np.ndarray:
    """The share of each of so many equal stretches of the video, [cells]; a frame's share lies evenly over its time."""
    at = np.linspace(found.edges_s[0], found.edges_s[-1], cells + 1)
    sums = np.interp(at, found.edges_s, np.concatenate(([0.0], found.shares.cumsum())))
    return np.diff(sums)
