"""The command from end to end, by a tiny model with random weights on generated videos."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from model.evaluation.evaluate_command import read_command_line, run
from tests.model.evaluation.official_sets import OfficialSets

COMMAND = [sys.executable, "-m", "model.evaluation.evaluate_command"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model, processor) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    sets = OfficialSets(folder / "data")
    sets.mlvu_dev()
    sets.vnbench()
    sets.mmbench()
    return folder


def arguments(folder: Path, out: Path, *tasks: str, ratio: int = 8, frames: int = 12) -> list[str]:
    return ["--model", str(folder / "model"), "--task", *tasks, "--data", str(folder / "data"), "--out", str(out),
            "--frames", str(frames), "--ratio", str(ratio), "--device", "cpu"]


def started(words: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *words], env=os.environ | {"OMP_NUM_THREADS": "1", **environment}, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def answers(out: Path, task: str) -> list[dict]:
    return pq.read_table(out / task / "answers.parquet").to_pylist()


def test_two_questions_of_one_name_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = shutil.copytree(folder / "data", tmp_path / "data")
    file = data / "MLVU" / "json" / "1_plotQA.json"
    file.write_text(json.dumps([row | {"question_id": "plot"} for row in json.loads(file.read_text())]))
    assert run([*arguments(folder, tmp_path / "out", "mlvu-dev"), "--data", str(data)]) == 2
    assert "2 questions are called 'plot'" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_an_evaluation_that_was_stopped_goes_on_and_gives_the_same(
    folder: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    whole, cut, frames = tmp_path / "whole", tmp_path / "cut", 300  # enough that there is time to stop it
    assert run(arguments(folder, whole, "mlvu-dev", frames=frames)) == 0
    process = started([*arguments(folder, cut, "mlvu-dev", frames=frames), "--log-json"])
    line = json.loads(process.stderr.readline())
    process.send_signal(stop)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 4)
    assert stop == signal.SIGKILL or "the same command goes on" in said
    assert line["event"] == "answered"
    kept = (cut / "mlvu-dev" / "answers" / "rank-000.jsonl").read_text().splitlines()
    assert 1 <= len(kept) < 8
    assert not (cut / "mlvu-dev" / "results.json").exists()

    assert run(arguments(folder, cut, "mlvu-dev", frames=frames)) == 0
    assert (cut / "mlvu-dev" / "answers" / "rank-000.jsonl").read_text().splitlines()[:len(kept)] == kept
    assert answers(cut, "mlvu-dev") == answers(whole, "mlvu-dev")
    assert (cut / "mlvu-dev" / "results.json").read_text() == (whole / "mlvu-dev" / "results.json").read_text()


def test_several_tasks_give_tables_with_the_published_figures(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(arguments(folder, tmp_path, "vnbench", "mmbench", "vnbench")) == 0
    said = capsys.readouterr().out
    assert "vnbench: vst, ratio 8, 12 frames, ends" in said
    assert "0.616" in said
    results = json.loads((tmp_path / "vnbench" / "results.json").read_text())
    assert results["figures"][0]["published"] == 0.616
    assert results["settings"]["policy"] == "12 frames, ends"
    assert {row["frames"] for row in answers(tmp_path, "vnbench")} == {12}
    assert {row["frames"] for row in answers(tmp_path, "mmbench")} == {4}  # 40 x 30 whole, tiles of 28
    assert {row["ratio"] for row in answers(tmp_path, "mmbench")} == {"8"}


def test_processes_as_torchrun_starts_them_share_the_videos(folder: Path, tmp_path: Path) -> None:
    words = arguments(folder, tmp_path / "shared", "mlvu-dev")
    both = [started(words, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2") for rank in range(2)]
    said = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    files = sorted((tmp_path / "shared" / "mlvu-dev" / "answers").glob("*.jsonl"))
    assert [len(file.read_text().splitlines()) for file in files] == [5, 3]  # plotQA has two questions
    assert run(arguments(folder, tmp_path / "alone", "mlvu-dev")) == 0
    assert answers(tmp_path / "shared", "mlvu-dev") == answers(tmp_path / "alone", "mlvu-dev")


def test_a_part_is_not_shown_beside_published_figures(folder: Path, tmp_path: Path) -> None:
    assert run([*arguments(folder, tmp_path, "mlvu-dev"), "--limit", "2"]) == 0
    results = json.loads((tmp_path / "mlvu-dev" / "results.json").read_text())
    assert (results["answers"], results["questions"]) == (3, 8)
    assert {one["published"] for one in results["figures"]} == {None}


def test_kinds_can_be_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sets = OfficialSets(tmp_path / "data")
    sets.mlvu_dev()
    (sets.data / "MLVU" / "video" / "3_ego" / "ego_1.mp4").unlink()
    words = arguments(folder, tmp_path / "out", "mlvu-dev", frames=4)
    words[words.index("--data") + 1] = str(sets.data)
    assert run(words) == 2
    assert run([*words, "--leave-out", "ego"]) == 0
    assert "7 of 8 questions" in capsys.readouterr().out.replace("\n", " ")
    results = json.loads((tmp_path / "out" / "mlvu-dev" / "results.json").read_text())
    assert (results["answers"], results["questions"], results["settings"]["leave_out"]) == (7, 8, ["ego"])
    assert {one["published"] for one in results["figures"]} == {None}
    assert "kind: ego" not in {one["name"] for one in results["figures"]}
    assert run([*words, "--leave-out", "pose"]) == 2
    assert "there is no kind 'pose', only anomaly_reco, count" in capsys.readouterr().err
    kinds = ["plotQA", "findNeedle", "ego", "count", "order", "anomaly_reco", "topic_reasoning"]
    assert run([*words, *(word for kind in kinds for word in ("--leave-out", kind))]) == 2
    assert "nothing of mlvu-dev is left" in capsys.readouterr().err


def test_nothing_but_damaged_videos_is_exit_code_3(folder: Path, tmp_path: Path, model) -> None:
    sets = OfficialSets(tmp_path / "data")
    sets.mlvu_test()
    (sets.data / "MLVU_Test" / "MLVU_Test" / "video" / "test_1.mp4").write_bytes(b"")
    words = arguments(folder, tmp_path / "out", "mlvu-test")
    words[words.index("--data") + 1] = str(sets.data)
    assert run(words) == 3


@pytest.mark.parametrize(("ratios", "frames", "said"), [
    (["8"], 1, "4 visual tokens are too few for ratio 8"),
    (["12", "16"], 13, "none of the ratios (12, 16) divides a window of 4 visual tokens")])
def test_a_video_that_does_not_fit_the_ratio_counts_as_wrong(
    folder: Path, tmp_path: Path, ratios: list[str], frames: int, said: str
) -> None:
    """A frame has four tokens, a window twelve frames."""
    words = arguments(folder, tmp_path, "mlvu-dev", frames=frames)
    words[words.index("--ratio") + 1:words.index("--device")] = ratios
    assert run([*words, "--limit", "1"]) == 3
    assert [(row["score"], said in row["problem"]) for row in answers(tmp_path, "mlvu-dev")] == 2 * [(0, True)]


@pytest.mark.parametrize(("change", "said"), [
    (["--task", "mlvu"], "no task 'mlvu': there are mlvu-dev"), (["--model", "nowhere"], "nowhere has no config.json"),
    (["--data", "nowhere"], "no file nowhere/MLVU/json/1_plotQA.json"),
    (["--ratio", "5"], "compression ratio 5 is not one"), (["--rank", "1"], "--rank 1 must be less than --world 1"),
    (["--frames", "0"], "frames: "),
])
def test_a_wrong_call_says_what_is_wrong(
    folder: Path, tmp_path: Path, change: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert run([*arguments(folder, tmp_path, "mlvu-dev"), *change]) == 2
    assert said in capsys.readouterr().err


def test_another_ratio_needs_another_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run([*arguments(folder, tmp_path, "mlvu-dev"), "--limit", "1"]) == 0
    assert run([*arguments(folder, tmp_path, "mlvu-dev", ratio=4), "--limit", "1"]) == 2
    assert "ratio was '8' and is '4'" in capsys.readouterr().err


def test_answers_scored_by_an_older_rule_are_not_gone_on_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Settings of before say nothing of scoring: only a benchmark whose scoring has changed minds."""
    for task, code in (("mlvu-dev", 0), ("vnbench", 2)):
        assert run([*arguments(folder, tmp_path, task), "--limit", "1"]) == 0
        file = tmp_path / task / "settings.json"
        settings = json.loads(file.read_text())
        del settings["scoring"]
        file.write_text(json.dumps(settings))
        assert run([*arguments(folder, tmp_path, task), "--limit", "1"]) == code
    assert "scoring was None and is 2" in capsys.readouterr().err


def test_other_questions_need_another_folder_and_moved_ones_do_not(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The ids of the questions stay the same."""
    sets = OfficialSets(tmp_path / "data")
    sets.mlvu_dev()

    def asked(data: Path) -> int:
        words = arguments(folder, tmp_path / "out", "mlvu-dev")
        words[words.index("--data") + 1] = str(data)
        return run([*words, "--limit", "1"])

    assert asked(sets.data) == 0
    before = answers(tmp_path / "out", "mlvu-dev")
    data = sets.data.rename(tmp_path / "elsewhere")
    assert asked(data) == 0
    assert answers(tmp_path / "out", "mlvu-dev") == before
    file = data / "MLVU" / "json" / "1_plotQA.json"
    file.write_text(file.read_text().replace("And then?", "And before?"))
    assert asked(data) == 2
    assert "holds answers of other settings: questions_and_media was" in capsys.readouterr().err


def test_model_and_rank_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_XL_MODEL", "some/model")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    choices = read_command_line(["--task", "mme", "vnbench", "--out", "o", "--ratio", "2", "4"])
    assert (choices.model, choices.rank, choices.world, choices.ratio) == ("some/model", 3, 8, [2, 4])
    assert [task.name for task in choices.tasks()] == ["mme", "vnbench"]
    monkeypatch.setenv("VICO_MODEL", "other")
    assert read_command_line(["--task", "mme", "--out", "o"]).model == "other"
