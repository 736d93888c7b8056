"""Video-MME (Fu et al. 2024, arXiv 2405.21075): 900 videos, three questions each, with or without subtitles.

The instruction speaks of subtitles in both, as lmms-eval has it. With subtitles, those heard at the frames shown stand
in front, once each and in order.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from model.evaluation.frame_policy import FramePolicy
from model.evaluation.letter_task import LetterTask
from model.evaluation.official_files import find_file, read_rows
from model.evaluation.question import SUBTITLES, Question, Subtitle
from model.evaluation.task import BadDataError, Task
from model.evaluation.viewing import VideoStretch

INSTRUCTION = (
    "Select the best answer to the following multiple-choice question based on the video and the subtitles. Respond "
    "with only the letter (A, B, C, or D) of the correct option.")
SOURCE = (
    "Video-MME is the data set lmms-lab/Video-MME on the Hugging Face hub (videomme/test-00000-of-00001.parquet, the "
    "videos unpacked to data/*.mp4, the subtitles to subtitle/*.srt).")
_FIELDS = ("videoID", "question_id", "question", "options", "answer", "duration", "domain", "sub_category", "task_type")
_GROUPS = ("duration", "domain", "sub_category", "task_type")
_VIDEO_ENDINGS = (".mp4", ".MP4", ".mkv")
_CUE = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3}) --> (\d+):(\d\d):(\d\d)[,.](\d{3})")


@dataclass(frozen=True, eq=False)
class VideoMme(LetterTask):
    """All 2,700 questions.

    Attributes:
        with_subtitles: whether they are given.
    """

    with_subtitles: bool = False

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        file = find_file(self, data, "videomme/test-00000-of-00001.parquet", "videomme/test.json")
        rows = read_rows(file, _FIELDS)
        heard: dict[str, tuple[Subtitle, ...]] = {}
        if self.with_subtitles:
            folder = data / self.folder / "subtitle"
            if not folder.is_dir():
                raise BadDataError(f"{self.name} needs the folder {folder}\n{self.source}")
            heard = {video: _subtitles(folder / f"{video}.srt") for video in {row["videoID"] for row in rows}}
        return [self._question(data, row, heard.get(row["videoID"], ())) for row in rows]

    def _question(self, data: Path, row: dict, heard: tuple[Subtitle, ...]) -> Question:
        # Options carry their letters already: "A. Apples."
        prompt = "\n".join([INSTRUCTION, row["question"], *row["options"], "The best answer is:"])
        if self.with_subtitles:
            lines = SUBTITLES if heard else "No subtitles available"
            prompt = f"This video's subtitles are listed below: \n{lines}\n{prompt}"
        return Question(
            question_id=row["question_id"], viewing=VideoStretch(_video(data / self.folder / "data", row["videoID"])),
            prompt=prompt, format="letter", options=tuple(option[3:] for option in row["options"]),
            answer=row["answer"], subtitles=heard, attributes={name: str(row[name]) for name in _GROUPS})


def _video(folder: Path, name: str) -> Path:
    places = [folder / f"{name}{ending}" for ending in _VIDEO_ENDINGS]
    return next((place for place in places if place.is_file()), places[0])


def _subtitles(file: Path) -> tuple[Subtitle, ...]:
    """The cues of an .srt file; some videos have none."""
    if not file.is_file():
        return ()
    found = []
    for block in re.split(r"\n\s*\n", file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")):
        cue = _CUE.search(block)
        text = html.unescape(re.sub(r"<[^>]*>", "", block[cue.end():])).strip() if cue else ""
        if text:
            times = [int(part) for part in cue.groups()]
            start, end = (3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (times[:4], times[4:]))
            found.append(Subtitle(start, end, " ".join(text.split())))
    return tuple(found)


_PUBLISHED_IN = "Video-XL's repository, table of results (assets/videomme.png)"
TASKS: list[Task] = [
    VideoMme(
        "videomme", "Video-MME", SOURCE, FramePolicy(128),
        {"overall": 0.555, "duration: short": 0.640, "duration: medium": 0.532, "duration: long": 0.492},
        _PUBLISHED_IN, by=_GROUPS),
    VideoMme(
        "videomme-subtitles", "Video-MME", SOURCE, FramePolicy(128),
        {"overall": 0.610, "duration: short": 0.674, "duration: medium": 0.607, "duration: long": 0.549},
        _PUBLISHED_IN, by=_GROUPS, with_subtitles=True),
]
