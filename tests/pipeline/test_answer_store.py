"""Answers that are stored stay stored."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.answer_store import AnswersMissingError, AnswerStore

KEYS = [f"{number:032x}" for number in range(200)]


def keep(store: AnswerStore, keys: list[str]) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(store.keep(key, {"text": f"answer\n{key}\u2028"}) for key in keys))

    asyncio.run(all_of_them())


def test_what_is_kept_is_found_now_and_by_the_next_run(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    keep(store, KEYS)
    assert all(store.find(key) == {"text": f"answer\n{key}\u2028"} for key in KEYS)
    assert store.find("f" * 32) is None
    store.close()
    again = AnswerStore(tmp_path)
    assert again.own_keys == set(KEYS)
    assert again.find(KEYS[7])["text"].endswith(f"{KEYS[7]}\u2028")


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_two_answers_to_one_question_the_later_one_counts(tmp_path: Path, names: str) -> None:
    """The first was no use, or it would not have been asked again."""
    for second, name in enumerate(names):
        store = AnswerStore(tmp_path / "made")
        asyncio.run(store.keep(KEYS[0], {"text": f"answer {second}"}))
        store.close()
        [made] = (tmp_path / "made").glob("*.answers")
        os.utime(made, (second, second))
        (tmp_path / "kept").mkdir(exist_ok=True)
        made.rename(tmp_path / "kept" / f"{name}.answers")
    assert AnswerStore(tmp_path / "kept").find(KEYS[0]) == {"text": "answer 1"}


def test_a_line_cut_short_anywhere_counts_as_never_written(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    keep(store, KEYS[:3])
    store.close()
    segment = next(tmp_path.glob("*.answers"))
    whole = segment.read_bytes()
    second_ends = [place for place, byte in enumerate(whole) if byte == 10][1] + 1
    for length in range(second_ends, len(whole)):
        segment.write_bytes(whole[:length])
        assert AnswerStore(tmp_path).own_keys == set(KEYS[:2])
    segment.write_bytes(whole[:second_ends] + whole[second_ends:].replace(b"answer", b"answes"))
    assert AnswerStore(tmp_path).own_keys == set(KEYS[:2])


def test_other_answers_are_read_and_never_written(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "data-set" / ".work" / "answers"
    store = AnswerStore(theirs)
    keep(store, KEYS[:2])
    store.close()
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    for name in (theirs, tmp_path / "data-set"):
        store = AnswerStore(mine, [name])
        assert store.find(KEYS[0]) is not None
        assert KEYS[0] not in store.own_keys
    keep(store, KEYS[5:6])
    store.close()
    assert {path.name: path.read_bytes() for path in theirs.iterdir()} == before
    assert AnswerStore(mine).own_keys == {KEYS[5]}


def test_a_folder_without_answers_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(AnswersMissingError, match="name the output folder of a build"):
        AnswerStore(tmp_path / "mine", [tmp_path])


_WRITES_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from pipeline.answer_store import AnswerStore

async def work():
    store = AnswerStore(Path(sys.argv[1]))
    async def one(number):
        await store.keep(f"{number:032x}", {"text": "x" * 3000})
        print(number, flush=True)
    for first in range(0, 10**6, 8):
        await asyncio.gather(*(one(number) for number in range(first, first + 8)))

asyncio.run(work())
"""


def test_what_was_said_to_be_stored_outlives_a_kill(tmp_path: Path) -> None:
    said = set()
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITES_UNTIL_KILLED, tmp_path], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2])
        said |= {int(process.stdout.readline()) for _ in range(100)}
        os.kill(process.pid, signal.SIGKILL)
        said |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
    assert {f"{number:032x}" for number in said} <= AnswerStore(tmp_path).own_keys


def test_a_full_disk_is_said_to_who_asked_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AnswerStore(tmp_path)
    keep(store, KEYS[:1])
    real = os.pwrite

    def full(handle: int, data: bytes, offset: int) -> int:
        real(handle, data[:-1], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.answer_store.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        keep(store, KEYS[1:2])
    monkeypatch.undo()
    keep(store, KEYS[2:3])
    assert store.find(KEYS[2])["text"].startswith("answer")
    store.close()
    assert AnswerStore(tmp_path).own_keys == {KEYS[0], KEYS[2]}


@pytest.mark.parametrize("place", ["os.open", "flush_folder", "os.fdatasync", "secrets.token_hex"])
def test_whatever_keeps_answers_from_the_disk_is_said_to_all_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    store = AnswerStore(tmp_path / "answers")
    with monkeypatch.context() as patch:
        patch.setattr(f"pipeline.answer_store.{place}", broken)
        for number in range(2):
            with pytest.raises(RuntimeError, match="the disk is gone"):
                keep(store, KEYS[number:number + 1])
    keep(store, KEYS[2:3])
    store.close()
    assert KEYS[2] in AnswerStore(tmp_path / "answers").own_keys


def test_a_folder_that_cannot_be_made_is_said_to_who_asked(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("a file")
    store = AnswerStore(tmp_path / "answers")
    with pytest.raises(FileExistsError):
        keep(store, KEYS[:1])
    store.close()


def test_who_goes_away_does_not_keep_others_from_their_answers(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)

    async def go_away() -> None:
        asked = [asyncio.ensure_future(store.keep(key, {"text": "x"})) for key in KEYS]
        await asyncio.sleep(0)
        for one in asked[::2]:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(asyncio.wait_for(go_away(), 60))
    store.close()
    assert AnswerStore(tmp_path).own_keys == set(KEYS)


def test_more_files_than_may_be_open_can_be_read(tmp_path: Path) -> None:
    """Several machines leave three for each video."""
    store = AnswerStore(tmp_path)
    keep(store, KEYS)
    store.close()
    segment = next(tmp_path.glob("*.answers"))
    for number, line in enumerate(segment.read_bytes().splitlines(keepends=True)):
        (tmp_path / f"{number}.answers").write_bytes(line)
    segment.unlink()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 50, before[1]))
    try:
        store = AnswerStore(tmp_path)
        assert all(store.find(key) is not None for key in KEYS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
