"""A copy of a data set that may be published: pictures only of videos whose licence lets them be handed on.

Of the others the rows stay, with ids and times; whoever has the video can draw the frames again.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from pipeline.data_card import rewrite_card
from pipeline.licences import licence_name
from pipeline.progress import StageProgress
from pipeline.report.page_version import page_version
from pipeline.report.static_page import PAGE_STAGES, write_page
from schemas.tables import IMAGE_COLUMNS, with_footer

FREE = ("cc0", "public-domain", "cc-by", "cc-by-sa")
"""Licences that let anybody hand pictures on, changed ones too (they are made smaller); names of `licence_name`."""

COPY_STAGES = ("shards", *PAGE_STAGES)
"""Stages of the progress of making a copy."""


@dataclass(frozen=True, slots=True)
class HubCopy:
    """What the copy holds."""

    folder: Path
    files: dict[str, int]
    """Every file's path in it and its bytes, in order."""
    frames: Counter[str] = field(default_factory=Counter)
    """Frames by licence: those that keep their picture."""
    withheld: Counter[str] = field(default_factory=Counter)
    """Frames by licence: those that lose it. A video without one counts as `no licence`."""


def make_hub_copy(
    data_set: Path, out: Path, allowed: Collection[str], most_samples: int, progress: StageProgress
) -> HubCopy:
    """Write the copy.

    Args:
        data_set: a finished data set.
        out: an empty folder for the copy.
        allowed: licences whose pictures may be handed on, by `licence_name`.
        most_samples: so many questions at most on the page that goes with it.
        progress: with the stages `COPY_STAGES`.
    """
    licences = _licences(data_set)
    may = {video_id for video_id, licence in licences.items() if licence in allowed}
    frames: Counter[str] = Counter()
    withheld: Counter[str] = Counter()
    shards = sorted((data_set / "data").rglob("*.parquet"))
    for path in progress.track(shards, "shards", len(shards)):
        table, target = path.parent.name, out / path.relative_to(data_set)
        target.parent.mkdir(parents=True, exist_ok=True)
        if table in IMAGE_COLUMNS:
            counts = _without_pictures(path, target, table, may)
            if table == "frames":
                for video_id, rows in counts.items():
                    (frames if video_id in may else withheld)[licences[video_id]] += rows
        else:
            shutil.copyfile(path, target)
    _describe(data_set, out)
    write_page(out, out / "report", page_version(out, most_samples, data_set.absolute().name), progress)
    files = {path.relative_to(out).as_posix(): path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}
    return HubCopy(out, files, frames, withheld)


def _licences(data_set: Path) -> dict[str, str]:
    videos = pyarrow.dataset.dataset(data_set / "data" / "videos", format="parquet").to_table(["video_id", "license"])
    return {row["video_id"]: licence_name(row["license"]) or "no licence" for row in videos.to_pylist()}


def _without_pictures(path: Path, target: Path, table: str, may: set[str]) -> Counter[str]:
    """Copy a shard row group by row group, the pictures of all but these videos left out; rows by video."""
    name, counts = IMAGE_COLUMNS[table], Counter()
    file, allowed = pq.ParquetFile(path), pa.array(sorted(may), pa.string())
    with pq.ParquetWriter(target, with_footer(table), compression="zstd", write_page_index=True) as writer:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number)
            counts.update(group["video_id"].to_pylist())
            keep = pc.is_in(group["video_id"], value_set=allowed)
            pictures = pc.if_else(keep, group[name], pa.scalar(None, group.schema.field(name).type))
            column = group.schema.get_field_index(name)
            group = group.set_column(column, group.schema.field(name), pictures)
            writer.write_table(group.cast(with_footer(table)), row_group_size=max(1, len(group)))
    return counts


def _describe(data_set: Path, out: Path) -> None:
    """Manifest, card, views and votes; the manifest's checksums are those of the copy."""
    manifest: dict[str, Any] = json.loads((data_set / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"]:
        content = out / file["path"]
        with content.open("rb") as stream:
            file |= {"bytes": content.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.copyfile(data_set / "views.sql", out / "views.sql")
    if (data_set / "review").is_dir():
        shutil.copytree(data_set / "review", out / "review")
    rewrite_card(out)
