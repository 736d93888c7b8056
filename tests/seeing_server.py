"""What a model server would say that really looks: needles are recognised by their pixels, other clips by what was
said of the same pictures before."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.decode import read_facts
from pipeline.frame_plan import plan_frames
from pipeline.needle_plan import plan_needles
from pipeline.needles import Canvas, PlannedNeedle, planted_id
from pipeline.sample_videos import Script, draw
from tests.fault_server import right_answer

_ALIKE = 12.0
"""Mean difference of two thumbnails, 0 to 255, up to which they show the same."""
_SIZE = (64, 36)
CONFUSED = "A large plain magenta trumpet wobbles over beige and ivory zigzags."
"""What a needle is taken for that is not recognised: nothing that is ever planted."""


def needles_of(video: Path, clip_seconds: int, seed: int = 0) -> list[PlannedNeedle]:
    """The needles that a build plants in the copy of a video."""
    facts = read_facts(str(video))
    clips = plan_frames(facts, Fraction(clip_seconds), Fraction(2), 4).clips
    video_id = hashlib.sha256(video.read_bytes()).hexdigest()[:32]
    return plan_needles(clips, Canvas.of(facts), planted_id(video_id, seed), seed)


class SeeingModel:
    """Answers every kind of request; call it as `FaultServer(say=SeeingModel(...))`."""

    def __init__(self, needles: Sequence[PlannedNeedle] = (), confused: int = 0) -> None:
        """
        Args:
            needles: those it may meet.
            confused: the first so many of them are taken for something else.
        """
        self._known = [(CONFUSED if number < confused else one.needle.text, _drawn(one))
                       for number, one in enumerate(needles)]
        self._said: list[tuple[np.ndarray, str]] = []
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def __call__(self, said: dict[str, Any]) -> str:
        name = said["response_format"]["json_schema"]["name"]
        text, pictures = _parts(said)
        with self._lock:
            self.asked.append(name)
        if name == "clip":
            return self._caption(said, pictures)
        if name == "seen":
            return json.dumps({"seen": "yes" if self._sees(re.search(r'^"(.*)"$', text, re.M)[1], pictures) else "no"})
        if name == "clues":
            return _clues(said, text)
        if name == "blind":
            letters = said["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"]
            return json.dumps({"answer": letters[int(hashlib.sha256(text.encode()).hexdigest(), 16) % len(letters)]})
        return right_answer(said)

    def _caption(self, said: dict[str, Any], pictures: list[np.ndarray]) -> str:
        answer = json.loads(right_answer(said))
        needle = self._needle(pictures)
        if needle is not None:
            answer |= {"sentences": [needle]}
        answer["key_events"] = []
        with self._lock:
            self._said += [(picture, " ".join(answer["sentences"])) for picture in pictures]
        return json.dumps(answer)

    def _needle(self, pictures: list[np.ndarray]) -> str | None:
        return next(filter(None, map(self.recognise, pictures)), None)

    def recognise(self, thumbnail: np.ndarray) -> str | None:
        """What it takes a picture for: a needle's words, or None."""
        distance, text = min(((np.abs(drawn - thumbnail).mean(axis=(1, 2, 3)).min(), text)
                              for text, drawn in self._known), default=(np.inf, None))
        return text if distance < _ALIKE else None

    def _sees(self, moment: str, pictures: list[np.ndarray]) -> bool:
        needle = self._needle(pictures)
        if needle is not None or any(moment == text for text, _ in self._known):
            return moment == needle
        for picture in pictures:
            nearest = min(self._said, key=lambda said: np.abs(said[0] - picture).mean())
            if moment in nearest[1]:
                return True
        return False


def _drawn(planned: PlannedNeedle) -> np.ndarray:
    """Thumbnails of all frames of a needle, drawn here from its scene and event: float32 [frames, 36, 64, 3]."""
    lasts_s = planned.needle.end_s - planned.needle.start_s
    scene, event = (replace(part, start_s=0, end_s=lasts_s) for part in (planned.scene, planned.event))
    return np.stack([thumbnail(picture) for picture in draw(Script(lasts_s, 640, 360, 12, (scene,), (event,)))])


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """A picture, uint8 [h, w, 3], made small: float32 [36, 64, 3]."""
    return cv2.resize(rgb, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)


def _parts(said: dict[str, Any]) -> tuple[str, list[np.ndarray]]:
    parts = said["messages"][0]["content"]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    jpegs = [base64.b64decode(part["image_url"]["url"].partition(",")[2]) for part in parts if part["type"] != "text"]
    return text, [thumbnail(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
                  for jpeg in jpegs]


def _clues(said: dict[str, Any], text: str) -> str:
    """The first sentence of every clip as it stands."""
    known = said["response_format"]["json_schema"]["schema"]["properties"]["clues"]["items"]["properties"]["where"]
    lines = dict(re.findall(r"^(\d+\.\d+) (.*)$", text, re.M))
    return json.dumps({"clues": [
        {"where": where, "text": lines[where]} for where in known["enum"] if where.endswith(".0")]})
