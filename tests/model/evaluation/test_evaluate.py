"""The harness: one look for the questions about one video, answers kept as they come, faults counted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from model.evaluation.answer_files import AnswerFiles, AnswersInUseError, OtherSettingsError
from model.evaluation.evaluate import evaluate, group_looks
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow
from model.evaluation.task_results import results_of
from model.evaluation.tasks import all_tasks
from tests.model.evaluation.fake_answerers import FakeAnswerer, FakeSeen, always_a, cheat
from tests.model.evaluation.official_sets import OfficialSets

POLICY = FramePolicy(3)


@pytest.fixture
def sets(tmp_path: Path) -> OfficialSets:
    return OfficialSets(tmp_path / "data")


def ask(name: str, sets: OfficialSets, files: AnswerFiles, answerer: FakeAnswerer, looks: slice = slice(None)) -> None:
    task = all_tasks()[name]
    with files.writing(answerer.settings):
        evaluate(task, group_looks(task.questions(sets.data))[looks], answerer, POLICY, files)


def test_questions_about_one_video_share_one_look(sets: OfficialSets, tmp_path: Path) -> None:
    sets.video_mme()
    answerer, files = cheat(), AnswerFiles(tmp_path / "out")
    ask("videomme", sets, files, answerer)
    assert answerer.looks == [(3, None), (3, None)]
    rows = files.read()
    assert [rows[name].score for name in ("aa-1", "aa-2", "aa-3", "bb-1")] == [1] * 4
    assert rows["aa-1"].policy == "3 frames, ends"
    assert (rows["aa-1"].frames, rows["aa-1"].positions, rows["aa-1"].video) == (3, 3, "aa.mp4")


def test_what_was_answered_is_not_asked_again(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_dev()
    first, second, files = cheat(), always_a(), AnswerFiles(tmp_path / "out")
    ask("mlvu-dev", sets, files, first, slice(3))
    ask("mlvu-dev", sets, files, second)
    assert (len(first.looks), len(second.looks)) == (3, 4)
    assert sum(row.said == "A" for row in files.read().values()) == 4


def test_half_a_line_left_by_a_killed_process_is_asked_again(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_test()
    files = AnswerFiles(tmp_path / "out")
    ask("mlvu-test", sets, files, cheat())
    file = tmp_path / "out" / "answers" / "rank-000.jsonl"
    whole = file.read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        ask("mlvu-test", sets, files, cheat())
        assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_ranks_share_the_looks_and_see_each_others_answers(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_dev()
    answerers = [cheat(), cheat()]
    for rank, answerer in enumerate(answerers):
        ask("mlvu-dev", sets, AnswerFiles(tmp_path / "out", rank), answerer, slice(rank, None, 2))
    assert [len(answerer.looks) for answerer in answerers] == [4, 3]
    assert len(AnswerFiles(tmp_path / "out").read()) == 8


def test_a_rank_is_given_once(sets: OfficialSets, tmp_path: Path) -> None:
    files, out = AnswerFiles(tmp_path / "out"), tmp_path / "out"
    with files.writing({}):
        import subprocess
        import sys

        said = subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path\n"
             "from model.evaluation.answer_files import AnswerFiles\n"
             "with AnswerFiles(Path(sys.argv[1])).writing({}): pass", str(out)],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3], timeout=200)
    assert said.returncode == 1
    assert AnswersInUseError.__name__ in said.stderr
    assert "--rank" in said.stderr


def test_answers_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    with files.writing({"ratio": "8", "policy": "x"}):
        pass
    with pytest.raises(OtherSettingsError, match="ratio was '8' and is '16'"), files.writing(
            {"ratio": "16", "policy": "x"}):
        pass


def test_a_damaged_video_counts_as_wrong_and_says_why(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_dev()
    (sets.data / "MLVU" / "video" / "3_ego" / "ego_1.mp4").write_bytes(b"no video")
    files, task = AnswerFiles(tmp_path / "out"), all_tasks()["mlvu-dev"]
    ask("mlvu-dev", sets, files, cheat())
    rows = files.read()
    assert rows["ego_0"].score == 0
    assert "FFmpeg cannot open it" in rows["ego_0"].problem
    results = results_of(task, list(rows.values()), len(rows), {"policy": "x"})
    assert (results["answers"], results["not_asked"]) == (8, 1)
    assert results["figures"][0]["mean"] == pytest.approx(6 / 7)


class SmallDevice(FakeAnswerer):
    """Has room for one frame of the first video, and none left to answer about `ego`; right about all others."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    def look(self, frames: Iterator[tuple[float | None, torch.Tensor]], system: str | None) -> FakeSeen:
        if not self.looks:
            self.looks.append((1, system))
            next(frames)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().look(frames, system)

    @staticmethod
    def _answer(question: Question) -> str:
        if question.question_id == "ego_0":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return question.answer


def test_where_there_is_no_room_the_evaluation_goes_on(
    sets: OfficialSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of seven kinds the two questions about a plot and the one of `ego` find none: five kinds of seven are right."""
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    sets.mlvu_dev()
    files, task = AnswerFiles(tmp_path / "out"), all_tasks()["mlvu-dev"]
    ask("mlvu-dev", sets, files, SmallDevice())
    rows = files.read()
    no_room = {name for name, row in rows.items() if row.problem == "no room on the device: CUDA out of memory."}
    assert no_room == {"plotQA_0", "plotQA_1", "ego_0"}
    assert {row.problem for name, row in rows.items() if name not in no_room} == {None}
    assert len(emptied) == 2
    results = results_of(task, list(rows.values()), len(rows), {"policy": "x"})
    assert (results["answers"], results["not_asked"]) == (8, 3)
    assert results["figures"][0]["mean"] == pytest.approx(5 / 7)
    again = cheat()
    ask("mlvu-dev", sets, files, again)
    assert again.looks == []


def test_the_table_holds_every_answer_and_the_settings(sets: OfficialSets, tmp_path: Path) -> None:
    sets.video_mme()
    files = AnswerFiles(tmp_path / "out")
    ask("videomme-subtitles", sets, files, cheat())
    rows = files.read()
    files.write_table(list(rows.values()), {"ratio": "8"})
    table = pq.read_table(tmp_path / "out" / "answers.parquet")
    back = [AnswerRow(**{**row, "attributes": dict(row["attributes"])}) for row in table.to_pylist()]
    assert {row.question_id: row for row in back} == rows
    assert json.loads(table.schema.metadata[b"settings"]) == {"ratio": "8"}
    assert "Hello & welcome" in rows["aa-1"].prompt


def test_what_is_said_takes_up_positions_too(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_test()
    files = AnswerFiles(tmp_path / "out")
    ask("mlvu-test", sets, files, FakeAnswerer(lambda question: Reply("A", positions=40)))
    assert [row.positions for row in files.read().values()] == [43, 43]  # three of the video


def test_results_say_what_the_figures_rest_on(sets: OfficialSets, tmp_path: Path) -> None:
    sets.video_mme()
    files, task = AnswerFiles(tmp_path / "out"), all_tasks()["videomme"]
    ask("videomme", sets, files, always_a())
    rows = [replace(row, positions=position) for row, position in zip(files.read().values(), (3, 3, 9, 9), strict=True)]
    settings = {"ratio": "8", "position_limit": 8}
    results = results_of(task, rows, 4, settings)
    assert results["beyond_positions"] == 2
    assert results["frames"] == {"fewest": 3, "most": 3}
    assert results["figures"][0]["published"] == 0.555
    assert results["figures"][0]["low"] <= results["figures"][0]["mean"] == 0.25
    assert [one["low"] for one in results["figures"] if one["name"] == "duration: long"] == [None]
    part = results_of(task, rows[:2], 4, settings)
    assert {one["published"] for one in part["figures"]} == {None}
    json.dumps(results, allow_nan=False)


def test_free_answers_are_stored_and_written_for_their_judge(sets: OfficialSets, tmp_path: Path) -> None:
    sets.mlvu_generation()
    files, task = AnswerFiles(tmp_path / "out"), all_tasks()["mlvu-dev-generation"]
    ask("mlvu-dev-generation", sets, files, FakeAnswerer(lambda question: "A bird sings."))
    rows = list(files.read().values())
    assert task.figures(rows) == []
    assert task.submissions(rows)["summary_all.json"] == [
        {"video_name": "summary_1.mp4", "Q": "Tell the summary.", "A": "A man walks.", "pred": "A bird sings."}]
    assert results_of(task, rows, 2, {})["nothing_read"] == 0
