"""What lies in the output: files that open everywhere, checksums that are right, nothing of this machine."""

import getpass
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.decode_video import DecodeSettings, decode_video
from pipeline.looks import LOOKS
from pipeline.record_files import write_records
from pipeline.shards import write_shards
from pipeline.table_rows import VideoProducts
from pipeline.work_store import WorkStore
from schemas.build_config import BuildConfig
from schemas.records import Caption, Clue, Rejection, Sample, Source
from schemas.tables import FRAMES, SCHEMA_VERSION, TABLES
from tests.builds import clean_environment, rows
from tests.numbered_videos import write_numbered
from tests.strange_sources import StrangeBuild

ONE_MIB = 1 << 20
IDS = {"videos": "video_id", "clips": "clip_id", "clues": "clue_id", "samples": "sample_id"}


@pytest.fixture(params=["sample", "strange"])
def out(request: pytest.FixtureRequest, sample_build: Path, strange_build: StrangeBuild) -> Path:
    return sample_build if request.param == "sample" else strange_build.out


def _manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def test_the_manifest_names_every_file_with_its_checksum(out: Path) -> None:
    files = {file["path"]: file for file in _manifest(out)["files"]}
    assert set(files) == {path.relative_to(out).as_posix() for path in (out / "data").rglob("*.*")}
    for name, file in files.items():
        data = (out / name).read_bytes()
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (file["table"], file["rows"]) == (name.split("/")[1], pq.read_metadata(out / name).num_rows)


def test_the_manifest_counts_rightly(out: Path) -> None:
    manifest = _manifest(out)
    assert manifest["rows"] == {table: len(rows(out, table)) for table in TABLES}
    for table, column, name in (("samples", "kind", "samples_by_kind"), ("rejected", "reason", "rejected_by_reason")):
        values = [row[column] for row in rows(out, table)]
        assert manifest[name] == {value: values.count(value) for value in values}
    assert manifest["hours"] == pytest.approx(sum(row["duration_s"] for row in rows(out, "videos")) / 3600, abs=1e-5)
    assert manifest["schema_version"] == SCHEMA_VERSION


def test_a_video_says_how_much_there_is_of_it(out: Path) -> None:
    for video in rows(out, "videos"):
        for column, table in (("n_clips", "clips"), ("n_frames", "frames"), ("n_samples", "samples")):
            found = [row for row in rows(out, table, ["video_id"]) if row["video_id"] == video["video_id"]]
            assert video[column] == len(found)


def test_every_file_is_compressed_indexed_sorted_and_typed(out: Path) -> None:
    for path in (out / "data").rglob("*.parquet"):
        file = pq.ParquetFile(path)
        schema = TABLES[path.parent.name]
        assert file.schema_arrow.equals(schema)
        assert [field.nullable for field in file.schema_arrow] == [field.nullable for field in schema]
        for group in (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)):
            for chunk in (group.column(i) for i in range(group.num_columns)):
                assert chunk.compression == "ZSTD"
                assert chunk.has_offset_index
        assert b"vico_schema_version" in file.metadata.metadata
        if path.parent.name in IDS:
            ids = file.read([IDS[path.parent.name]]).column(0).to_pylist()
            assert ids == sorted(set(ids))
        assert re.fullmatch(r"(train|test|calibration)-\d{5}\.parquet", path.name)


def test_a_split_and_a_shard_hold_whole_videos(out: Path) -> None:
    homes: dict[str, set[str]] = {}
    for table in ("videos", "clips", "clues", "samples", "frames"):
        for path in (out / "data" / table).glob("*.parquet"):
            for video_id in pq.read_table(path, columns=["video_id"])["video_id"].to_pylist():
                homes.setdefault(video_id, set()).add(path.name)
    assert homes
    assert [home for home in homes.values() if len(home) != 1] == []
    for video in rows(out, "videos"):
        assert homes[video["video_id"]].pop().startswith(video["split"])


def test_nothing_tells_of_this_machine_or_the_time(out: Path) -> None:
    """Pictures aside, whose bytes are compressed and could hold anything by chance."""
    words = [str(out.parent), str(Path.home()), os.getcwd(), socket.gethostname(), str(Path(sys.prefix)), "/tmp/"]
    texts = {name: (out / name).read_text(encoding="utf-8") for name in ("manifest.json", "README.md", "views.sql")}
    for path in (out / "data").rglob("*.parquet"):
        footer = pq.read_metadata(path).metadata
        texts[path.name] = " ".join(value.decode() for key, value in footer.items() if key != b"ARROW:schema")
        columns = [name for name in pq.read_schema(path).names if name not in ("image", "thumbnail")]
        texts[f"{path.parent.name}/{path.name}"] = str(pq.read_table(path, columns=columns).to_pylist())
    for name, text in texts.items():
        assert [word for word in words if len(word) > 3 and word in text] == [], name
        assert not re.search(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d", text), name
    assert getpass.getuser() not in {value for value in _manifest(out)["config"].values() if isinstance(value, str)}


def test_pictures_are_called_by_their_ids(sample_build: Path) -> None:
    for row in rows(sample_build, "frames"):
        assert row["image"]["path"] == f"{row['video_id']}-{row['frame_index']:06d}.jpg"
    for row in rows(sample_build, "clips"):
        assert row["thumbnail"]["path"] == f"{row['clip_id']}.jpg"


LOADER = """
import json, sys
from datasets import load_dataset
out, *tables = sys.argv[1:]
for table in tables:
    splits = load_dataset(out, table)
    rows = [row for split in splits.values() for row in split]
    pictures = [row[name] for row in rows for name in ("image", "thumbnail") if name in row]
    print(json.dumps({
        "rows": len(rows), "columns": sorted({name for split in splits.values() for name in split.column_names}),
        "kinds": sorted({type(picture).__module__.split(".")[0] for picture in pictures}),
        "sizes": sorted({picture.size for picture in pictures if not isinstance(picture, dict)}),
    }))
"""


def _load(out: Path, cache: Path) -> dict[str, dict[str, Any]]:
    """What `datasets.load_dataset` makes of every table with rows, without a network, in a process of its own."""
    tables = [table for table in TABLES if rows(out, table)]
    environment = clean_environment(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(cache))
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(out), *tables], env=environment, cwd=cache, text=True,
        capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(tables, map(json.loads, done.stdout.splitlines()), strict=True))


def test_datasets_opens_every_table_with_rows(out: Path, tmp_path: Path) -> None:
    """In one of the two builds most videos have no samples: their shards have no rows, which must not matter."""
    loaded = _load(out, tmp_path)
    assert set(loaded) >= {"videos", "clips", "clues", "samples", "frames", "rejected"}
    for table, found in loaded.items():
        assert found["rows"] == len(rows(out, table))
        assert found["columns"] == sorted(TABLES[table].names)
    assert loaded["frames"]["kinds"] == loaded["clips"]["kinds"] == ["PIL"]


def test_frames_open_as_pictures_of_the_size_promised(sample_build: Path, tmp_path: Path) -> None:
    """The sample video is 640 x 360, so a shorter side of 336 makes it 597 wide, and one of 144 makes it 256."""
    loaded = _load(sample_build, tmp_path)
    assert loaded["frames"]["sizes"] == [[597, 336]]
    assert loaded["clips"]["sizes"] == [[256, 144]]


# ---- Row groups


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decoded")
    write_numbered(folder / "video.mp4", "constant", 100, 320, 180)
    settings = DecodeSettings(
        clip_seconds=14, min_last_clip_seconds=2, max_hours=24, caption_frames=2, caption_frame_side=180,
        frame_side=168, jpeg_quality=88)
    (folder / "product").mkdir()
    source = Source(path=str(folder / "video.mp4"), source="video.mp4")
    decode_video(lambda share: None, source, "v", settings, 1, folder / "product")
    return folder / "product"


def _product(template: Path, folder: Path, video_id: str, mebibytes: int) -> VideoProducts:
    """A video that was decoded, with so many frames of 1 MiB each, and of which nothing else is said."""
    folder.mkdir()
    video = json.loads((template / "video.json").read_text())[0] | {"video_id": video_id}
    (folder / "video.json").write_text(json.dumps([video]))
    (folder / "clips.json").write_text("[]")
    (folder / "thumbnails.parquet").write_bytes((template / "thumbnails.parquet").read_bytes())
    pq.write_table(LOOKS.empty_table(), folder / "looks.parquet")
    for name, kind in (("rejected", Rejection), ("captions", Caption), ("clues", Clue), ("samples", Sample)):
        write_records(folder / f"{name}.json", kind, [])
    rng = np.random.default_rng(0)
    frames = [{"video_id": video_id, "frame_index": i, "t_s": float(i), "clip_index": 0,
               "image": {"bytes": rng.bytes(ONE_MIB), "path": f"{i}.jpg"}, "width": 1, "height": 1, "picture_hash": 0}
              for i in range(mebibytes)]
    with pq.ParquetWriter(folder / "frames.parquet", FRAMES) as writer:
        for frame in frames:
            writer.write_batch(pa.RecordBatch.from_pylist([frame], schema=FRAMES))
    source = Source(path="/nowhere", source=video_id)
    return VideoProducts(video_id, source, *[folder] * 4)


def test_row_groups_of_frames_end_at_the_first_video_after_32_mib(decoded: Path, tmp_path: Path) -> None:
    sizes = {"a": 20, "b": 20, "c": 5, "d": 30, "e": 1}
    products = [_product(decoded, tmp_path / name, name, size) for name, size in sizes.items()]
    out = tmp_path / "out"
    write_shards(BuildConfig(buckets=1, test_share=0), BuildConfig().without_machine(), products[::-1], [], out,
                 WorkStore(out))
    path, = (out / "data" / "frames").glob("*.parquet")
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(i, columns=["video_id"])["video_id"].to_pylist()
              for i in range(file.metadata.num_row_groups)]
    assert [sorted(set(group)) for group in groups] == [["a", "b"], ["c", "d"], ["e"]]
    assert [len(group) for group in groups] == [40, 35, 1]


def test_a_video_too_large_for_a_group_has_groups_of_its_own(decoded: Path, tmp_path: Path) -> None:
    products = [_product(decoded, tmp_path / name, name, size) for name, size in {"a": 200, "b": 2}.items()]
    out = tmp_path / "out"
    write_shards(BuildConfig(buckets=1, test_share=0), BuildConfig().without_machine(), products, [], out,
                 WorkStore(out))
    path, = (out / "data" / "frames").glob("*.parquet")
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(i, columns=["video_id", "frame_index"]).to_pylist()
              for i in range(file.metadata.num_row_groups)]
    assert len(groups) >= 3
    assert [(row["video_id"], row["frame_index"]) for group in groups for row in group] == [
        *(("a", i) for i in range(200)), ("b", 0), ("b", 1)]
    assert all({"video_id": "b", "frame_index": 0} not in group for group in groups[:-1])
    assert max(file.metadata.row_group(i).total_byte_size for i in range(len(groups))) < 150 * ONE_MIB
