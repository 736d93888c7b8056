"""Products in an object store: the first one counts, whoever made it, and every machine sees the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.object_work_store import ObjectWorkStore
from pipeline.remaking import drop_from_stage, drop_videos
from pipeline.shared_files import FolderFiles, NoSuchStoreError, ObjectFiles, SharedFiles
from pipeline.shared_run import SharedClaims, SharedStop, end_run
from schemas.reasons import Stage
from tests.object_store import BUCKET, s3_server


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    return f"s3://{BUCKET}/{request.node.name}"


@pytest.fixture(params=["folder", "object store"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> SharedFiles:
    return FolderFiles(tmp_path) if request.param == "folder" else ObjectFiles(f"s3://{BUCKET}/{tmp_path.name}")


@pytest.fixture
def machines(address: str, tmp_path: Path) -> tuple[ObjectWorkStore, ObjectWorkStore]:
    """Two machines that share nothing but the object store."""
    return tuple(ObjectWorkStore(tmp_path / name, ObjectFiles(address)) for name in ("one", "other"))


def _write(store: ObjectWorkStore, text: str, stage: Stage = Stage.DECODE, key: str = "k", video: str = "v") -> None:
    with store.write(stage, key, {"video": video}) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text(text)


def _read(store: ObjectWorkStore, stage: Stage = Stage.DECODE, key: str = "k") -> str | None:
    product = store.find(stage, key)
    return None if product is None else (product / "deep" / "a").read_text()


def test_the_first_to_create_a_name_wins(files: SharedFiles) -> None:
    assert files.read("deep/a") is None
    assert files.names("deep") == []
    assert files.create("deep/a", b"1")
    assert not files.create("deep/a", b"2")
    assert files.read("deep/a") == b"1"
    assert files.create("deep/b/c", b"")
    assert files.names("deep") == ["deep/a", "deep/b/c"]
    files.remove("deep/b")
    files.remove("deep/gone")
    assert files.names("deep") == ["deep/a"]


def test_a_claim_is_the_sources_and_a_stop_is_everybodys(files: SharedFiles) -> None:
    one, other = (SharedClaims(files, "run") for _ in range(2))
    assert one.take("v", "a.mp4")
    assert not other.take("v", "b.mp4")
    assert other.take("v", "a.mp4"), "made once more on another machine"
    assert SharedClaims(files, "next").take("v", "b.mp4")
    stops = [SharedStop(files, "run") for _ in range(2)]
    assert not stops[0].is_set()
    stops[1].set()
    assert SharedStop(files, "run").is_set()
    assert not SharedStop(files, "next").is_set()
    end_run(files)
    assert files.names("runs") == []


def test_what_one_machine_made_another_finds(machines: tuple[ObjectWorkStore, ObjectWorkStore]) -> None:
    one, other = machines
    assert _read(other) is None
    _write(one, "1")
    assert (_read(one), _read(other)) == ("1", "1")
    assert json.loads((other.find(Stage.DECODE, "k") / "inputs.json").read_text()) == {"video": "v"}


def test_a_worker_that_was_thought_dead_changes_nothing(machines: tuple[ObjectWorkStore, ObjectWorkStore]) -> None:
    """It comes to its end after its successor, and from then on sees what that one made."""
    one, other = machines
    with one.write(Stage.DECODE, "k", {"video": "v"}) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text("late")
        _write(other, "in time")
    assert (_read(one), _read(other)) == ("in time", "in time")


def test_a_product_that_is_made_again_replaces_every_copy(machines: tuple[ObjectWorkStore, ObjectWorkStore]) -> None:
    one, other = machines
    _write(one, "1")
    _write(one, "1", stage=Stage.CAPTIONS)
    assert _read(other) == "1"
    drop_from_stage(other, Stage.CAPTIONS)
    assert _read(one, Stage.CAPTIONS) is None
    assert _read(one) == "1"
    _write(other, "2", stage=Stage.CAPTIONS)
    assert _read(one, Stage.CAPTIONS) == "2"


def test_a_forgotten_video_leaves_the_object_store(
    machines: tuple[ObjectWorkStore, ObjectWorkStore], address: str
) -> None:
    one, other = machines
    _write(one, "1", key="a", video="v1")
    _write(one, "2", key="b", video="v2")
    drop_videos(other, {"v1"})
    assert [_read(one, key=key) for key in "ab"] == [None, "2"]
    assert [name for name in ObjectFiles(address).names("") if name.endswith(".tar")] == ["decode/b.tar"]


def test_what_speaks_of_one_machine_stays_there(
    machines: tuple[ObjectWorkStore, ObjectWorkStore], address: str
) -> None:
    one, other = machines
    _write(one, "1", stage=Stage.PROBE)
    assert _read(one, Stage.PROBE) == "1"
    assert _read(other, Stage.PROBE) is None
    assert ObjectFiles(address).names("") == []


def test_a_store_that_nobody_knows_is_named() -> None:
    with pytest.raises(NoSuchStoreError, match="nosuch"):
        ObjectFiles("nosuch://bucket/set")
