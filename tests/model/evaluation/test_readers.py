"""Every reader on a small file in the official form, down to the odd fields."""

import csv
import json
from pathlib import Path

import pytest

from model.evaluation.benchmarks import mvbench
from model.evaluation.evaluate import group_looks
from model.evaluation.official_files import check_media, read_rows
from model.evaluation.question import SUBTITLES, Question
from model.evaluation.task import BadDataError, MissingDataError
from model.evaluation.tasks import all_tasks
from model.evaluation.viewing import FrameFolder, StillInFile, VideoStretch
from tests.model.evaluation.official_sets import OfficialSets

# Ours: test_vico_tasks.py, test_use_cases.py.
TASKS = {name: task for name, task in all_tasks().items() if task.folder not in ("VICO", "USE-CASES")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    OfficialSets(folder).all()
    return folder


@pytest.fixture
def sets(tmp_path: Path) -> OfficialSets:
    return OfficialSets(tmp_path)


def asked(name: str, data: Path) -> dict[str, Question]:
    questions = TASKS[name].questions(data)
    check_media(TASKS[name], questions)
    assert len({question.question_id for question in questions}) == len(questions)
    return {question.question_id: question for question in questions}


@pytest.mark.parametrize("name", TASKS)
def test_what_is_missing_is_named_with_its_source(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        TASKS[name].questions(tmp_path)
    assert str(tmp_path / TASKS[name].folder) in str(caught.value)
    assert TASKS[name].source in str(caught.value)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "nextqa-oe"])  # it has a file of tests of its own
def test_every_question_can_be_put(name: str, data: Path) -> None:
    for question in asked(name, data).values():
        assert question.words([0.0, 1.0])
        if question.format == "letter":
            assert question.answer in "ABCDEFGHIJ"[:len(question.options)]
            assert all(option in question.prompt for option in question.options)


def test_a_missing_video_is_named(sets: OfficialSets) -> None:
    sets.long_video_bench()
    video = sets.data / "LongVideoBench" / "videos" / "v1.mp4"
    video.unlink()
    with pytest.raises(MissingDataError, match=r"1 of 1 files .* missing, the first is .*v1\.mp4"):
        asked("longvideobench", sets.data)


def test_mlvu_asks_in_its_own_words(data: Path) -> None:
    questions = asked("mlvu-dev", data)
    assert questions["plotQA_0"].prompt == (
        "Question: What about plotQA?\nOptions:\n(A) red\n(B) green\n(C) blue\n(D) grey\nOnly give the best option.")
    assert questions["plotQA_0"].prefill == "Best option: ("
    assert questions["plotQA_1"].answer == "D"
    assert questions["count_0"].answer == "C"
    assert len(group_looks(list(questions.values()))) == 7


def test_mlvus_test_set_has_six_options_and_ids(data: Path) -> None:
    questions = asked("mlvu-test", data)
    assert {name: question.answer for name, question in questions.items()} == {"SQA_0": "F", "NQA_0": "A"}


def test_an_answer_that_is_no_option_is_named(sets: OfficialSets) -> None:
    sets.mlvu_test()
    file = sets.data / "MLVU_Test" / "test-ground-truth" / "test_mcq_gt.json"
    rows = json.loads(file.read_text())
    rows[1]["answer"] = "seven"
    file.write_text(json.dumps(rows))
    with pytest.raises(BadDataError, match="row 1: the answer 'seven' is none of the options"):
        asked("mlvu-test", sets.data)


def test_mlvus_free_answers_are_handed_on_in_the_form_its_judge_reads(data: Path) -> None:
    questions = asked("mlvu-dev-generation", data)
    assert questions["summary_0"].prompt == "Tell the summary."
    assert questions["subplot_0"].viewing == VideoStretch(data / "MLVU" / "video" / "8_sub_scene" / "subPlot_1.mp4")


def test_video_mme_without_subtitles(data: Path) -> None:
    questions = asked("videomme", data)
    assert questions["aa-1"].prompt.splitlines()[1:] == [
        "How many in 1?", "A. One.", "B. Two.", "C. Three.", "D. Four.", "The best answer is:"]
    assert questions["aa-1"].options[0] == "One."
    assert questions["bb-1"].viewing.path.name == "bb.mkv"
    assert [len(look.questions) for look in group_looks(list(questions.values()))] == [3, 1]


def test_video_mme_with_the_subtitles_of_the_frames_shown(data: Path) -> None:
    questions = asked("videomme-subtitles", data)
    assert SUBTITLES in questions["aa-1"].prompt
    shown = questions["aa-1"].words([0.0, 0.5, 1.2])
    assert shown.startswith(
        "This video's subtitles are listed below: \nHello & welcome\nto the show\nSelect the best answer")
    assert "to the show" not in questions["aa-1"].words([0.0, 0.95])
    assert "No subtitles available\n" in questions["bb-1"].words([0.0])


def test_long_video_bench_leaves_out_options_that_are_none(data: Path) -> None:
    questions = asked("longvideobench", data)
    assert (questions["v1_0"].answer, len(questions["v1_0"].options)) == ("E", 5)
    assert questions["v1_1"].prompt == (
        "Second?\nA. a2\nB. b2\nC. c2\nAnswer with the option's letter from the given choices directly.\n")


def test_vnbench_finds_its_videos_from_the_file_on(data: Path) -> None:
    questions = asked("vnbench", data)
    assert len(questions) == 8
    one = questions["n0_ret_insert1_2"]
    assert (one.options, one.answer) == (("y", "z", "w", "x"), "D")
    assert one.viewing == VideoStretch(data / "VNBench" / "VNBench/n0.mp4")
    assert one.attributes["ability"] == "ret"


def test_vnbench_needs_all_four_tries(sets: OfficialSets) -> None:
    sets.vnbench(tries=3)
    with pytest.raises(BadDataError, match=r"\['0', '1', '2'\], expected 0 to 3"):
        asked("vnbench", sets.data)


def test_mvbench_looks_at_stretches_and_folders_of_frames(data: Path) -> None:
    questions = asked("mvbench", data)
    assert len(questions) == len(mvbench.FOLDERS) == 20
    videos = data / "MVBench" / "video"
    assert questions["action_sequence_0"].viewing == VideoStretch(
        videos / "star/Charades_v1_480/action_sequence.mp4", 0.5, 1.5)
    assert questions["action_antonym_0"].viewing == VideoStretch(videos / "ssv2_video/action_antonym.mp4")
    folder = questions["episodic_reasoning_0"].viewing
    assert folder == FrameFolder(videos / "tvqa/frames_fps3_hq/show/clip_01", 3, 0.5, 1.5)
    shown = list(folder.pictures(TASKS["mvbench"].policy))
    assert len(shown) == 16
    assert sorted({round(time_s * 3) for time_s, _ in shown}) == [1, 2, 3, 4]
    assert int(shown[0][1][0, 0, 0]) == pytest.approx(80, abs=3)


def test_mvbench_says_how_to_ask_without_the_videos_that_it_lacks(sets: OfficialSets) -> None:
    sets.mvbench()
    (sets.data / "MVBench" / "video" / "nturgbd" / "fine_grained_pose.mp4").unlink()
    with pytest.raises(MissingDataError, match=r"1 of 20 files [^$]* --leave-out fine_grained_pose asks about"):
        asked("mvbench", sets.data)


def test_nextqa_reads_the_authors_csv(data: Path) -> None:
    questions = asked("nextqa-mc", data)
    assert questions["17_0"].options == ("a, b", "b", "c", "to sleep", "e")
    assert (questions["17_0"].answer, questions["17_0"].attributes) == ("D", {"type": "CW", "family": "C"})


def test_mme_finds_images_beside_and_apart(data: Path) -> None:
    questions = asked("mme", data)
    assert len(questions) == 14 * 4
    assert questions["OCR/0001/0"].viewing.path.name == "0001.png"
    assert questions["artwork/0000/1"].viewing.path.parent.name == "images"
    assert questions["artwork/0000/1"].prompt == "Is there none?\nAnswer the question using a single word or phrase."
    assert questions["artwork/0000/1"].answer == "no"
    assert len({question.viewing.video for question in questions.values()}) == 28


def test_mme_refuses_a_text_that_is_no_pair(sets: OfficialSets) -> None:
    sets.mme()
    (sets.data / "MME" / "count" / "0000.txt").write_text("How many?\tThree\n")
    with pytest.raises(BadDataError, match=r"0000\.txt must hold two lines"):
        asked("mme", sets.data)


def test_mmbench_knows_rotations_hints_and_images_of_other_rows(data: Path) -> None:
    questions = asked("mmbench", data)
    assert [questions[name].answer for name in ("5", "1000005", "2000005")] == ["B", "A", "C"]
    assert len(group_looks(list(questions.values()))) == 2
    viewing = questions["2000005"].viewing
    assert isinstance(viewing, StillInFile)
    [(_, picture)] = viewing.pictures(TASKS["mmbench"].policy)
    assert picture.shape == (30, 40, 3)
    assert questions["9"].prompt.startswith("Look at the tile. Is it red? There are several options:\nA. yes\nB. no\n")


def test_mmbench_names_an_image_that_is_none(sets: OfficialSets) -> None:
    sets.mmbench()
    file = sets.data / "MMBench" / "mmbench_dev_20230712.tsv"
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    rows[2][rows[0].index("image")] = "77"
    with file.open("w", newline="") as lines:
        csv.writer(lines, delimiter="\t").writerows(rows)
    with pytest.raises(BadDataError, match="'77' is neither base64 nor the index of a row"):
        asked("mmbench", sets.data)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.json", "{]", "is damaged"), ("a.json", '{"a": 1}', "list of objects"), ("a.json", "[1]", "list of objects"),
    ("a.jsonl", '{"b": 1}\n\n{"a": 2}\n', "row 0: no field 'a', only b"), ("a.parquet", "none", "is damaged"),
    ("a.csv", 'b\n"open', "is damaged"), ("a.json", "[]", r"a\.json holds no question"),
    ("a.csv", "a\n", r"a\.csv holds no question"),
])
def test_a_file_that_is_not_what_it_should_be(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadDataError, match=said):
        read_rows(tmp_path / name, ["a"])
