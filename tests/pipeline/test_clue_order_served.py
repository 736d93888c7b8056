"""The served orderer on a film of three hours whose order is known."""

import json
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.answer_reading import UnusableAnswerError
from pipeline.captioner import DecodedVideo
from pipeline.clue_order_served import ServedOrderer
from pipeline.clue_orderer import Proposal
from pipeline.served_questions import Question, Reply
from schemas.build_config import BuildConfig
from schemas.reasons import Reason
from schemas.records import Caption, Clip

CLIPS = 771
VIDEO = "0" * 32


class CannedModels:
    """Answers each question with what `say` makes of the references it lists; tokens are words."""

    def __init__(self, say: Callable[[list[str]], list[str]]) -> None:
        self._say, self.asked = say, 0
        self.largest = 0

    def count_tokens(self, role: str, model: str, texts: Iterable[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def replies(self, questions: Iterable[Question]) -> list[Reply]:
        return [self._reply(question) for question in questions]

    def _reply(self, question: Question) -> Reply:
        self.asked += 1
        schema: dict[str, Any] = question.request.schema
        words = len(question.request.messages[0].parts[0].split())
        self.largest = max(self.largest, words + question.request.max_tokens)
        known = schema["properties"]["clues"]["items"]["properties"]["where"]["enum"]
        clues = [{"where": where, "text": f"the thing called {where} is seen"} for where in self._say(known)]
        try:
            return Reply(question.request.key(), value=question.read(json.dumps({"clues": clues})))
        except UnusableAnswerError as error:
            return Reply(question.request.key(), reason=Reason.ANSWER_UNUSABLE, detail=str(error), raw="raw")


def film() -> tuple[DecodedVideo, list[Caption]]:
    clips = [Clip(
        clip_id=f"{VIDEO}-{index:06d}", video_id=VIDEO, clip_index=index, start_s=14.0 * index,
        end_s=14.0 * index + 14, cuts_s=[], frames_expected=1, frames_decoded=1, measures=None, caption_frames_s=[])
        for index in range(CLIPS)]
    captions = [Caption(
        clip_index=index, captioner="served", caption="", sentences=[f"Something like {index} is seen.", "It ends."])
        for index in range(CLIPS)]
    return DecodedVideo(SimpleNamespace(video_id=VIDEO), clips, None), captions


def propose(models: CannedModels, **more: Any) -> Proposal:
    choices = {"orderer": "served", "order_model": "m", "order_urls": ["http://h/v1"], "shuffled_share": 0} | more
    return ServedOrderer(BuildConfig(**choices), models).propose(*film())


def firsts(known: list[str]) -> list[str]:
    return [where for where in known if where.endswith(".0")]


def longest_rising(values: list[int]) -> int:
    tails: list[int] = []
    for value in values:
        place = bisect_right(tails, value)
        tails[place:place + 1] = [value]
    return len(tails)


def test_a_film_of_three_hours_comes_out_in_its_order() -> None:
    models = CannedModels(firsts)
    proposal = propose(models)
    assert [candidate.clip_indexes for candidate in proposal.candidates] == [(index,) for index in range(CLIPS)]
    assert [candidate.order_given for candidate in proposal.candidates] == list(range(CLIPS))
    assert {candidate.reason for candidate in proposal.candidates} == {None}
    assert proposal.rejected == []
    assert models.asked == proposal.figures["chapters"] > CLIPS / 48
    assert models.largest <= 16_384


@pytest.mark.parametrize("seed", range(5))
def test_of_a_wrong_order_the_longest_agreeing_part_is_kept(seed: int) -> None:
    """A tenth of the clips stand where they do not belong, a few clips away or far."""
    dice = random.Random(seed)
    planted = list(range(CLIPS))
    for clip in dice.sample(range(CLIPS), CLIPS // 10):
        planted.remove(clip)
        planted.insert(max(0, min(CLIPS - 1, clip + dice.choice([-30, -12, -5, 5, 12, 30]))), clip)
    place = {clip: position for position, clip in enumerate(planted)}
    models = CannedModels(lambda known: sorted(firsts(known), key=lambda where: place[int(where.split(".")[0])]))
    proposal = propose(models)
    given = [candidate.clip_indexes[0] for candidate in sorted(proposal.candidates, key=lambda one: one.order_given)]
    assert sorted(given) == list(range(CLIPS))
    kept = [candidate.clip_indexes[0] for candidate in proposal.candidates if candidate.reason is None]
    assert kept == sorted(kept)
    dropped = [candidate for candidate in proposal.candidates if candidate.reason]
    assert {candidate.reason for candidate in dropped} == {Reason.ORDER_AGAINST_CLOCK}
    assert len(dropped) == CLIPS - longest_rising(given) == proposal.figures["against_clock"]
    assert 0 < len(dropped) <= CLIPS // 10


def test_wrong_places_inside_a_chapter_come_out_as_they_were_planted() -> None:
    """Neighbours changed places: the joined order is the planted one, wherever the chapters end."""
    planted = list(range(CLIPS))
    for clip in range(3, CLIPS - 1, 10):
        planted[clip], planted[clip + 1] = planted[clip + 1], planted[clip]
    place = {clip: position for position, clip in enumerate(planted)}
    models = CannedModels(lambda known: sorted(firsts(known), key=lambda where: place[int(where.split(".")[0])]))
    proposal = propose(models, chapter_clips=20)
    assert [candidate.clip_indexes[0] for candidate in proposal.candidates] == planted
    assert proposal.figures["against_clock"] == CLIPS - longest_rising(planted) == len(range(3, CLIPS - 1, 10))


def test_what_another_chapter_or_the_same_one_chose_is_left_out_with_its_reason() -> None:
    """The second chapter chooses other sentences of the clips that both hold, and each its first clip twice."""
    chapters: list[int] = []

    def say(known: list[str]) -> list[str]:
        chapters.append(len(known))
        mine = firsts(known) if len(chapters) % 2 else [where for where in known if where.endswith(".1")]
        return [*mine, mine[-1]]

    proposal = propose(CannedModels(say), chapter_clips=48)
    reasons = [row.reason for row in proposal.rejected]
    assert set(reasons) == {Reason.CHAPTER_BEFORE_CHOSE, Reason.CLUE_GIVEN_TWICE}
    assert reasons.count(Reason.CLUE_GIVEN_TWICE) == len(chapters)
    assert {candidate.reason for candidate in proposal.candidates} == {None}
    assert [candidate.clip_indexes[0] for candidate in proposal.candidates] == list(range(CLIPS))


def test_an_invented_reference_is_refused_and_fails_its_chapter_only() -> None:
    def say(known: list[str]) -> list[str]:
        return ["9999.0"] if known[0] == "0.0" else firsts(known)

    proposal = propose(CannedModels(say))
    assert [(row.reason, row.raw) for row in proposal.rejected] == [(Reason.ANSWER_UNUSABLE, "raw")]
    assert "there are no sentences numbered 9999.0" in proposal.rejected[0].detail
    assert proposal.candidates[-1].clip_indexes == (CLIPS - 1,)
    assert len(proposal.candidates) > CLIPS - 48


def test_a_caption_that_no_request_holds_is_left_out_and_the_film_is_not_cut_short() -> None:
    models = CannedModels(firsts)
    decoded, captions = film()
    captions[400] = Caption(clip_index=400, captioner="served", caption="", sentences=["word " * 4000])
    config = BuildConfig(orderer="served", order_model="m", order_urls=["http://h/v1"], shuffled_share=0,
                         order_context_tokens=4096)
    proposal = ServedOrderer(config, models).propose(decoded, captions)
    assert [(row.reason, row.clip_index) for row in proposal.rejected] == [(Reason.CAPTION_TOO_LONG_TO_ORDER, 400)]
    assert len(proposal.candidates) == CLIPS - 1
    assert models.largest <= 4096
