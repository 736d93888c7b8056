"""WUPS against similarities worked out by hand on a WordNet of six nouns."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.evaluation.question import Question, Reply
from model.evaluation.task import BadDataError, MissingDataError
from model.evaluation.tasks import all_tasks

TREE = {"entity": None, "animal": "entity", "dog": "animal", "cat": "animal", "thing": "entity", "bed": "thing"}
"""Each noun and what it is a kind of."""

ALIKE = {("dog", "cat"): 2 * 2 / (3 + 3), ("dog", "bed"): 2 * 1 / (3 + 3), ("dog", "animal"): 2 * 2 / (3 + 2)}
"""Wu and Palmer: twice the depth of what both are, by the sum of their depths; entity has depth 1."""


def write_wordnet(folder: Path) -> None:
    """WordNet's own files. Each data line begins with its place in the file, in bytes."""
    folder.mkdir(parents=True)
    line = "{:08d} 03 n 01 {} 0 {} | a word\n"
    places, lines, place = {}, [], 0
    for noun, above in TREE.items():
        pointers = "000" if above is None else f"001 @ {places[above]:08d} n 0000"
        places[noun] = place
        lines.append(line.format(place, noun, pointers))
        place += len(lines[-1])
    (folder / "data.noun").write_text("".join(lines))
    (folder / "index.noun").write_text("".join(
        f"{noun} n 1 1 @ 1 0 {places[noun]:08d}\n" for noun in sorted(TREE)))
    (folder / "noun.exc").write_text("kine cat\n")
    (folder / "data.adj").write_text("  1 WordNet 3.0 Copyright 2006 by Princeton University.\n")
    for name in ("index.adj", "index.adv", "index.verb", "data.adv", "data.verb", "adj.exc", "adv.exc", "verb.exc",
                 "cntlist.rev", "index.sense"):
        (folder / name).write_text("")
    (folder / "lexnames").write_text("".join(f"{n:02d}\tnoun.{n}\t1\n" for n in range(45)))


def write_scoring(folder: Path) -> None:
    """What scoring reads, under the task's folder."""
    write_wordnet(folder / "nltk_data" / "corpora" / "wordnet")
    (folder / "stopwords.csv").write_text("stopwords\nthe\na\non\n")


def write_authors_files(folder: Path) -> None:
    """Their test.csv ends at the type; second answers lie beside it, for one of the two videos."""
    folder.mkdir(parents=True)
    with (folder / "test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("video,frame_count,width,height,question,answer,qid,type".split(","))
        writer.writerow([18, 20, 48, 32, "what is it ", "the dog on a bed", 0, "DO"])
        writer.writerow([17, 20, 48, 32, "what else", "dog", 1, "TP"])
        writer.writerow([17, 20, 48, 32, "how many", "two", 2, "DC"])
    (folder / "add_reference_answer_test.json").write_text(json.dumps({"17": {"2": "a couple", "1": "a bed"}}))


def write_lmms_evals_file(folder: Path) -> None:
    """The same in one table."""
    folder.mkdir(parents=True)
    row = {"video": 17, "frame_count": 20, "width": 48, "height": 32, "qid": 1, "type": "TP"}
    pq.write_table(pa.Table.from_pylist([
        row | {"video": 18, "qid": 0, "type": "DO", "question": "what is it ", "answer": "the dog on a bed",
               "additional_ref_answer": None},
        row | {"question": "what else", "answer": "dog", "additional_ref_answer": "a bed"},
        row | {"qid": 2, "type": "DC", "question": "how many", "answer": "two", "additional_ref_answer": "a couple"},
    ]), folder / "test-00000-of-00001.parquet")


@pytest.fixture(scope="module", params=[write_authors_files, write_lmms_evals_file])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    folder = tmp_path_factory.mktemp("data")
    write_scoring(folder / "NExTQA")
    request.param(folder / "NExTQA" / "OE")
    return {question.question_id: question for question in all_tasks()["nextqa-oe"].questions(folder)}


def score(question: Question, said: str) -> float:
    return all_tasks()["nextqa-oe"].score(question, Reply(said)).value


def test_questions_are_put_in_few_words(asked: dict[str, Question]) -> None:
    assert asked["18_0"].prompt == "what is it\nAnswer a question using a short phrase or sentence."
    assert (asked["17_1"].attributes["type"], asked["17_1"].more_answers) == ("TN", ("a bed",))
    assert asked["18_0"].more_answers == ()


@pytest.mark.parametrize(("said", "worth"), [
    ("dog bed", 1), ("The beds on dogs", 1),  # stop words and endings do not count
    ("cat bed", ALIKE["dog", "cat"]), ("kine bed", ALIKE["dog", "cat"]),
    ("dog", ALIKE["dog", "bed"]),  # bed is like dog at most
    ("zebra", 0), ("", 0), ("zebra dog bed", 1),  # words that are like none are left out
])
def test_an_answer_is_worth_its_likeness(asked: dict[str, Question], said: str, worth: float) -> None:
    assert score(asked["18_0"], said) == pytest.approx(worth)


def test_the_better_of_two_references_counts(asked: dict[str, Question]) -> None:
    assert score(asked["17_1"], "bed") == 1
    assert score(asked["17_1"], "animal") == pytest.approx(ALIKE["dog", "animal"])


def test_counts_are_right_or_wrong(asked: dict[str, Question]) -> None:
    assert [score(asked["17_2"], said) for said in ("two", "Two.", "couple", "three", "dog two")] == [
        1, 1, 1, 0, 0]


def test_likeness_under_the_threshold_counts_a_tenth(tmp_path: Path) -> None:
    from model.evaluation.benchmarks.wups import Wups

    write_wordnet(tmp_path / "corpora" / "wordnet")
    (tmp_path / "stop").write_text("the\n")
    wups = Wups(tmp_path, tmp_path / "stop")
    assert wups.wups("cat", "dog", 0.9) == pytest.approx(ALIKE["dog", "cat"] / 10)
    assert wups.wups("cat", "dog", 0.0) == wups.wups("dog", "cat", 0.0) == pytest.approx(ALIKE["dog", "cat"])


def test_what_scoring_needs_is_asked_for_before_anything_else(tmp_path: Path) -> None:
    write_authors_files(tmp_path / "NExTQA" / "OE")
    with pytest.raises(MissingDataError, match=r"data\.noun"):
        all_tasks()["nextqa-oe"].questions(tmp_path)


def test_second_answers_must_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "NExTQA" / "OE"
    write_authors_files(folder)
    second = folder / "add_reference_answer_test.json"
    wrong = {"{": "is damaged", "[]": "an object of videos", '{"17": "a bed"}': "an object of videos"}
    for content, words in wrong.items():
        second.write_text(content)
        with pytest.raises(BadDataError, match=words):
            all_tasks()["nextqa-oe"].questions(tmp_path)
    second.unlink()
    with pytest.raises(MissingDataError, match=r"add_reference_answer_test\.json[^$]*doc-doc/NExT-OE"):
        all_tasks()["nextqa-oe"].questions(tmp_path)
    table = {"video": [17], "question": ["who"], "answer": ["dog"], "qid": [0], "type": ["DO"]}
    pq.write_table(pa.table(table), folder / "test-00000-of-00001.parquet")
    with pytest.raises(BadDataError, match="no field 'additional_ref_answer'"):
        all_tasks()["nextqa-oe"].questions(tmp_path)
