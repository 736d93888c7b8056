"""A product is there whole or not at all, and the journal can be read while it grows."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.journal import Journal, read_journal
from pipeline.work_store import WorkStore, key_of, write_file


@pytest.fixture
def store(tmp_path: Path) -> WorkStore:
    return WorkStore(tmp_path)


def test_a_product_appears_when_it_is_whole(store: WorkStore) -> None:
    with store.write("decode", "k") as folder:
        (folder / "a").write_text("1")
        assert store.find("decode", "k") is None
    assert (store.find("decode", "k") / "a").read_text() == "1"
    assert store.find("clues", "k") is None


def _fail(store: WorkStore) -> None:
    with store.write("decode", "k") as folder:
        (folder / "a").write_text("1")
        raise RuntimeError


def test_what_fails_leaves_nothing(store: WorkStore) -> None:
    with pytest.raises(RuntimeError):
        _fail(store)
    assert store.find("decode", "k") is None
    assert list((store.root / "scratch").iterdir()) == []


def test_the_first_of_two_products_with_a_key_stays(store: WorkStore) -> None:
    with store.write("decode", "k") as one:
        (one / "a").write_text("1")
        with store.write("decode", "k") as other:
            (other / "a").write_text("2")
    assert (store.find("decode", "k") / "a").read_text() == "2"


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.work_store import WorkStore
with WorkStore(Path(sys.argv[1])).write("decode", "k") as folder:
    (folder / "a").write_text("1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_killed_is_no_product_and_is_swept_away(store: WorkStore, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60,
                   env=os.environ | {"PYTHONPATH": str(root)})
    assert store.find("decode", "k") is None
    assert len(list((store.root / "scratch").iterdir())) == 1
    store.sweep()
    assert not (store.root / "scratch").exists()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "deep" / "a", b"1")
    write_file(tmp_path / "deep" / "a", b"22")
    assert (tmp_path / "deep" / "a").read_bytes() == b"22"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=6)


@given(st.lists(values, max_size=4))
def test_keys_are_short_and_do_not_depend_on_the_order_of_names(parts: list) -> None:
    assert len(key_of(*parts)) == 32
    assert key_of({"a": parts, "b": 1}) == key_of({"b": 1, "a": parts})
    assert key_of(*parts) != key_of(*parts, None)
    assert key_of(parts) != key_of(str(parts))


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    long = "é" * 2000
    threads = [threading.Thread(target=lambda n=n: [journal.say("done", "decode", f"{n}-{i}", more=long)
                                                    for i in range(50)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    lines = [line for line, _ in read_journal(journal.path)]
    assert sorted(line["item"] for line in lines) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))
    assert all(line["more"] == long for line in lines)


def test_a_growing_journal_is_read_line_by_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.say("done", "decode", "one\nwith a break", name="\ufffd")
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"half": ')
    (line, offset), = read_journal(journal.path)
    assert line["item"] == "one\nwith a break"
    with journal.path.open("ab") as file:
        file.write(b"1}\n")
    assert [line for line, _ in read_journal(journal.path, offset)] == [{"half": 1}]
