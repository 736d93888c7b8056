"""`ask-video --where`: where an answer looked, as a bar of time, as words, and as a picture or page with frames."""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from model.answer_card import Card, Still, Stretch
from model.answer_page import write_page
from model.answer_picture import write_picture
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.time_bar import attention_per_cell, time_bar
from model.where import Placing, Where, where
from pipeline import decode

KINDS_OF_FILE = (".png", ".html")
_BAR_WIDTH, _LEVELS, _MOST_STILLS, _STILL_SIDE = 72, 200, 12, 336


class WhereShown:
    """Shows of one answer after the other where it looked.

    Args:
        model: with its processor set.
        memory: that is asked.
        video: the file it is of.
        file: a .png or .html that is to show all answers so far; None: none.
    """

    def __init__(
        self, model: VideoXLForConditionalGeneration, memory: Memory, video: Path, file: Path | None
    ) -> None:
        self._model, self._memory, self._video, self._file = model, memory, video, file
        self._facts = decode.read_facts(str(video))
        self._cards: list[Card] = []

    def find(self, question: str, answer: str, placing: Placing) -> Where:
        """Where an answer looked; the file shows it from now on.

        Raises:
            ValueError: see `model.where.where`.
            pipeline.decode.UnreadableVideoError: a frame for the file cannot be decoded.
        """
        ids = self._model._need_processor().question_ids(question)
        found = where(self._model, self._memory, ids, answer, placing, self._facts.duration_s)
        if self._file is not None:
            self._cards.append(self._card(question, answer, found))
            if self._file.suffix == ".png":
                write_picture(self._file, self._cards)
            else:
                write_page(self._file, self._video.name, {"seconds": f"{self._facts.duration_s:.1f}",
                                                          "frames": self._memory.frames}, self._cards)
        return found

    def _card(self, question: str, answer: str, found: Where) -> Card:
        levels = attention_per_cell(found, _LEVELS)
        labels = found.lines or [f"{100 * span.share:.0f} %" for span in found.spans]
        stretches = [Stretch(span.start_s, span.end_s, label)
                     for span, label in zip(found.spans, labels, strict=True)]
        middles = sorted((one.start_s + one.end_s) / 2 for one in stretches[:_MOST_STILLS])
        pictures = decode.pick_frames(str(self._video), self._facts, middles)
        stills = [Still(time_s, jpeg(picture), found=True) for time_s, picture in pictures]
        return Card(
            self._video.name, "", question, (), answer, None, (), float(found.edges_s[0]), float(found.edges_s[-1]),
            tuple((levels / max(levels.max(), 1e-300)).tolist()), tuple(stretches), (), tuple(stills))


def print_where(found: Where, console: Console) -> None:
    """The bar of time to the console, the spans to standard output."""
    console.print(time_bar(found, min(_BAR_WIDTH, console.width)), markup=False, highlight=False)
    for line in found.told():
        print(line, file=sys.stdout, flush=True)


def jpeg(picture: np.ndarray) -> bytes:
    """A picture, uint8 [height, width, 3], made small, as a JPEG file."""
    small, file = Image.fromarray(picture), io.BytesIO()
    small.thumbnail((_STILL_SIDE, _STILL_SIDE))
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def file_of(words: str) -> Path:
    """The file named behind --where.

    Raises:
        argparse.ArgumentTypeError: its name ends in neither .png nor .html.
    """
    if Path(words).suffix not in KINDS_OF_FILE:
        raise argparse.ArgumentTypeError(
            f"{words} is neither .png nor .html (a --where without a file stands behind the video and the question)")
    return Path(words)

