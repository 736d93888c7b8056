"""A data set in an object store is the old one or the new one, for readers and for builds that come too late."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.open_data_set import open_data_set
from pipeline.publish import CommitLostError, bring_state, commit
from pipeline.published_set import NoDataSetError, newest
from pipeline.shard_files import describe_shards, write_rows
from pipeline.shared_files import NoSuchStoreError, ObjectFiles
from schemas.tables import TABLES
from schemas.views import views_sql
from tests.documented_commands import ROOT, blocks_of
from tests.object_store import BUCKET, published_bytes, s3_server

INSPECT = Path(sys.executable).with_name("inspect-vico")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> ObjectFiles:
    return ObjectFiles(f"s3://{BUCKET}/{request.node.name}")


def _gather(folder: Path, *videos: str) -> Path:
    """A folder as the shard stage leaves it: the table `duplicates` holds the videos, one shard each."""
    for table in TABLES:
        write_rows(folder / "data" / table / "train-00000.parquet", table, [])
    for number, video in enumerate(videos):
        write_rows(folder / "data" / "duplicates" / f"train-{number:05d}.parquet", "duplicates",
                   [{"video_id": video, "duplicate_of": "x"}])
    (folder / "README.md").write_text(" ".join(videos))
    (folder / ".work").mkdir(exist_ok=True)
    (folder / ".work" / "catalogue.jsonl").write_text(" ".join(videos))
    (folder / "manifest.json").write_text(json.dumps({"files": list(describe_shards(folder))}))
    return folder


def _seen(place: str) -> list[str]:
    with open_data_set(place) as connection:
        return [row[0] for row in connection.execute("SELECT video_id FROM duplicates ORDER BY ALL").fetchall()]


def test_what_is_published_is_read(objects: ObjectFiles, tmp_path: Path) -> None:
    with pytest.raises(NoDataSetError):
        open_data_set(objects.address)
    commit(_gather(tmp_path, "a", "b"), objects)
    assert _seen(objects.address) == ["a", "b"]
    assert published_bytes(objects.address) == {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")}


def test_the_same_again_changes_nothing(objects: ObjectFiles, tmp_path: Path) -> None:
    commit(_gather(tmp_path, "a"), objects)
    before = {name: objects.version(name) for name in objects.names("")}
    commit(tmp_path, objects)
    assert {name: objects.version(name) for name in objects.names("")} == before


def test_what_the_page_says_makes_a_folder_of_it(
    objects: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _gather(tmp_path / "built", "a", "b")
    (built / "views.sql").write_text(views_sql())
    commit(built, objects)
    commit(_gather(built, "a", "c"), objects)
    copying, = (block.text for block in blocks_of(ROOT / "docs" / "pipeline.md") if "store.bring" in block.text)
    monkeypatch.chdir(tmp_path)
    exec(copying.replace("s3://sets/one", objects.address), {})
    assert _seen("one") == ["a", "c"]
    assert not (tmp_path / "one" / ".work").exists()
    assert json.loads((tmp_path / "one" / "manifest.json").read_text()) == newest(objects).manifest


def test_a_reader_keeps_what_it_began_to_read(objects: ObjectFiles, tmp_path: Path) -> None:
    commit(_gather(tmp_path, "a", "b"), objects)
    kept = newest(objects).manifest["files"]
    with open_data_set(objects.address) as connection:
        commit(_gather(tmp_path, "a", "c"), objects)
        assert connection.execute("SELECT max(video_id) FROM duplicates").fetchall() == [("b",)]
    assert _seen(objects.address) == ["a", "c"]
    unchanged = {file["path"] for file in kept} & {file["path"] for file in newest(objects).manifest["files"]}
    assert len(unchanged) == len(kept) - 1, "only what changed is written"


def test_what_no_reader_can_need_is_removed(objects: ObjectFiles, tmp_path: Path) -> None:
    orphan = "data/duplicates/train-00009.g00000001-00000000.parquet"  # of a build that was killed before its commit
    objects.create(orphan, b"")
    for video in "abc":
        commit(_gather(tmp_path, video), objects)
    now = newest(objects)
    assert now.number == 3
    assert objects.names("manifests") == ["manifests/00000002.json", "manifests/00000003.json"]
    assert len(objects.names("data/duplicates")) == 2
    commit(_gather(tmp_path, "d"), objects, keep_before=False)
    assert len(objects.names("data/duplicates")) == 1


def test_of_two_builds_that_began_from_the_same_state_one_counts(objects: ObjectFiles, tmp_path: Path) -> None:
    one, other = (_gather(tmp_path / name, name) for name in ("one", "other"))
    for folder in (one, other):
        bring_state(objects, folder)
    commit(_gather(one, "one"), objects)
    before = {name: objects.version(name) for name in objects.names("")}
    with pytest.raises(CommitLostError):
        commit(other, objects)
    assert _seen(objects.address) == ["one"]
    assert {name: version for name in before if (version := objects.version(name))} == before
    bring_state(objects, other)
    assert (other / ".work" / "catalogue.jsonl").read_text() == "one"
    assert (other / ".work" / "catalogue.jsonl").stat().st_mode & 0o777 == 0o600
    commit(_gather(other, "one", "other"), objects)
    assert _seen(objects.address) == ["one", "other"]


def test_a_late_build_finds_its_number_taken(
    objects: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still between its last look and its manifest, while others publish, once or many times."""
    for times in (1, 3):
        late, quick = tmp_path / f"late{times}", tmp_path / f"quick{times}"
        for folder in (late, quick):
            bring_state(objects, folder)
        create = objects.create

        def stand_still(name: str, data: bytes, times: int = times, quick: Path = quick, create=create) -> bool:
            if name.startswith("manifests/"):
                monkeypatch.undo()
                for number in range(times):
                    commit(_gather(quick, f"quick{times}{number}"), objects)
            return create(name, data)

        monkeypatch.setattr(objects, "create", stand_still)
        with pytest.raises(CommitLostError):
            commit(_gather(late, "late"), objects)
        assert _seen(objects.address) == [f"quick{times}{times - 1}"]


def test_the_command_looks_into_an_object_store(objects: ObjectFiles, tmp_path: Path) -> None:
    commit(_gather(tmp_path / "set", "a"), objects)
    done = subprocess.run([INSPECT, objects.address, "--json", "--sql", "SELECT video_id FROM duplicates"],
                          env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == '{"video_id": "a"}\n', done.stderr
    none = subprocess.run([INSPECT, f"s3://{BUCKET}/nothing", "--sql", "SELECT 1"],
                          env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert (none.returncode, none.stdout) == (2, "")
    assert "no data set" in none.stderr


def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises((NoSuchStoreError, NoDataSetError), match="no-such-bucket"):
        open_data_set("s3://no-such-bucket/set")
