"""Records of every form, in one form; and long lists read a piece at a time."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import instruction_records
from pipeline.instruction_records import (
    RecordsError,
    UnusableRecordError,
    multiple_choice,
    read_instruction,
    read_values,
)
from schemas.reasons import Reason


def talk(*turns: str, speakers: tuple[str, str] = ("human", "gpt")) -> list[dict[str, str]]:
    return [{"from": speakers[number % 2], "value": words} for number, words in enumerate(turns)]


def test_the_published_image_record() -> None:
    record = read_instruction({
        "id": "llavav1.5_335306", "image": "coco_2017/000000266031.jpg",
        "conversations": talk(
            "<image>\nPlease describe this region: [0.19, 0.39].", "Red car.", "And here?", "A tree.")})
    assert record.record_id == "llavav1.5_335306"
    assert (record.media, record.paths, record.kind) == ("image", ("coco_2017/000000266031.jpg",), "instruction")
    assert record.turns == (
        ("human", "<image>\nPlease describe this region: [0.19, 0.39]."), ("gpt", "Red car."), ("human", "And here?"),
        ("gpt", "A tree."))


def test_the_published_video_record() -> None:
    record = read_instruction({
        "id": "11445", "video": "next_qa/1008/8480330992.mp4/8480330992.mp4",
        "conversations": talk("<image>\nQuestion: Why?\nOptions:\n(A) a shirt.\n(B) children.", "(B) children.")})
    assert (record.media, record.paths) == ("video", ("next_qa/1008/8480330992.mp4/8480330992.mp4",))
    choice = multiple_choice(record.turns[0][1].replace("<image>", "").strip(), record.turns[1][1])
    assert (choice.question, choice.options, choice.answer_index) == (
        "Question: Why?", ("a shirt.", "children."), 1)


def test_image_and_caption() -> None:
    record = read_instruction({"image": "a.jpg", "caption": "A cat on a mat."})
    assert record.kind == "caption"
    assert record.turns == (("human", "<image>\n"), ("gpt", "A cat on a mat."))


def test_many_images_many_turns_and_other_names_for_everything() -> None:
    value = {"id": 7, "images": ["a.jpg", "b.jpg"], "conversations": talk(
        "Image 1: <ImageHere>. Image 2: <ImageHere>. Which?", "The first.", "Sure?", "Yes.",
        speakers=("user", "assistant"))}
    record = read_instruction(value)
    assert record.record_id == "7"
    assert record.paths == ("a.jpg", "b.jpg")
    assert record.turns[0] == ("human", "Image 1: <image>. Image 2: <image>. Which?")
    assert [speaker for speaker, _ in record.turns] == ["human", "gpt", "human", "gpt"]


def test_marks_that_are_missing_go_in_front_and_others_stay_where_they_stand() -> None:
    record = read_instruction({"image": ["a.jpg", "b.jpg"], "conversations": talk("Which?", "None.")})
    assert record.turns[0] == ("human", "<image>\n<image>\nWhich?")
    record = read_instruction({"video": "a.mp4", "conversations": talk("Look at <video> now", "Yes.")})
    assert record.turns[0] == ("human", "Look at <image> now")


def test_words_alone_and_a_system_turn() -> None:
    record = read_instruction({"conversations": [{"from": "system", "value": "Be brief."}, *talk("Hi", "Hello")]})
    assert (record.media, record.paths) == (None, ())
    assert record.turns[0] == ("system", "Be brief.")


@pytest.mark.parametrize(("value", "reason"), [
    (5, Reason.RECORD_UNREADABLE),
    ({}, Reason.RECORD_UNREADABLE),
    ({"image": "a.jpg"}, Reason.RECORD_UNREADABLE),
    ({"image": "a.jpg", "video": "a.mp4", "conversations": talk("a", "b")}, Reason.RECORD_UNREADABLE),
    ({"image": [1], "conversations": talk("a", "b")}, Reason.RECORD_UNREADABLE),
    ({"conversations": talk("a\ud800", "b")}, Reason.RECORD_UNREADABLE),
    ({"conversations": []}, Reason.RECORD_UNREADABLE),
    ({"conversations": ["a", "b"]}, Reason.TURNS_UNUSABLE),
    ({"conversations": [{"from": "robot", "value": "a"}]}, Reason.TURNS_UNUSABLE),
    ({"conversations": [{"from": "human", "value": None}]}, Reason.TURNS_UNUSABLE),
    ({"conversations": talk("a")}, Reason.TURNS_UNUSABLE),
    ({"conversations": talk("a", "b", "c")}, Reason.TURNS_UNUSABLE),
    ({"conversations": talk("a", "b", speakers=("gpt", "human"))}, Reason.TURNS_UNUSABLE),
    ({"conversations": [{"from": "system", "value": "a"}]}, Reason.TURNS_UNUSABLE),
    ({"conversations": talk("a", " \n")}, Reason.TURNS_UNUSABLE),
    ({"image": "a.jpg", "conversations": talk("<image> and <image>", "b")}, Reason.MARKS_AND_MEDIA_DIFFER),
    ({"conversations": talk("<image>", "b")}, Reason.MARKS_AND_MEDIA_DIFFER),
    ({"image": "a.jpg", "conversations": talk("a", "<image>")}, Reason.MARKS_AND_MEDIA_DIFFER),
    ({"image": "/etc/passwd", "caption": "a"}, Reason.ADDRESS_NOT_ALLOWED),
    ({"image": "a/../../b.jpg", "caption": "a"}, Reason.ADDRESS_NOT_ALLOWED),
    ({"image": "https://example.org/a.jpg", "caption": "a"}, Reason.ADDRESS_NOT_ALLOWED),
])
def test_what_cannot_be_used_is_refused_with_its_reason(value: object, reason: Reason) -> None:
    with pytest.raises(UnusableRecordError) as caught:
        read_instruction(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("question", "answer"), [
    ("Why?", "(A) so."), ("Why?\n(A) so.\n(B) no.", "so."), ("Why?\n(B) so.\n(C) no.", "(B) so."),
    ("Why?\n(A) so.\n(B) no.", "(C) maybe."), ("Why?\n(A) so.", "(A) so."),
])
def test_what_is_no_multiple_choice_is_taken_for_none(question: str, answer: str) -> None:
    assert multiple_choice(question, answer) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)


@example(values=[1.5e300, -2e-7], block=2, indent=None)
@given(values=st.lists(JSON, max_size=6), block=st.integers(1, 12), indent=st.sampled_from([None, 1]))
def test_a_list_read_in_pieces_is_the_list(
    values: list, block: int, indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "list.json"
    path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    whole = instruction_records._READ_CHARACTERS
    instruction_records._READ_CHARACTERS = block
    try:
        assert [value for _, value in read_values(path)] == values
    finally:
        instruction_records._READ_CHARACTERS = whole


def test_lines_are_read_one_by_one_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"id": 1}\n\n{"id": 2\n{"id": 3}\n', encoding="utf-8")
    values = dict(read_values(path))
    assert (values[1], values[4]) == ({"id": 1}, {"id": 3})
    assert isinstance(values[3], UnusableRecordError)
    with pytest.raises(UnusableRecordError, match="line 3 is no JSON"):
        read_instruction(values[3])


@pytest.mark.parametrize(("text", "fault"), [
    ('[{"id": 1}, {"id": 2}', "ends after 2 entries"),
    ('[{"id": 1}, {"id": 2', "entry 2 of the list is no JSON"),
    ('[{"id": 1}, nonsense]', "entry 2 of the list is no JSON"),
    ('[{"id": 1} {"id": 2}]', "no comma stands behind entry 1"),
    ("[" * 100_000, "entry 1 of the list is no JSON"),
])
def test_a_list_that_breaks_is_refused_where_it_breaks(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(RecordsError, match=fault):
        list(read_values(path))


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match=r"gone\.json: No such file"):
        list(read_values(tmp_path / "gone.json"))
    (tmp_path / "latin.json").write_bytes(b'[{"id": "\xe4"}]')
    with pytest.raises(RecordsError, match=r"latin\.json: not UTF-8"):
        list(read_values(tmp_path / "latin.json"))


def test_a_long_list_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    with path.open("w") as file:
        file.write("[")
        for number in range(60_000):
            file.write(json.dumps({"id": number, "image": f"{number}.jpg", "caption": "word " * 40}) + ",\n")
        file.write("{}]")
    tracemalloc.start()
    count = sum(1 for _ in read_values(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_001
    assert path.stat().st_size > 14e6 > 1.4 * peak
