"""What the Prefect page shows of a build besides its tasks."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.compute as pc
import pyarrow.dataset
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pipeline.report.page_version import data_set_version

_MOST_VIDEOS = 500


class ProgressArtifact:
    """A progress bar on the flow run's page."""

    def __init__(self, what: str, total: int) -> None:
        self._total, self._done = total, 0
        self._id: UUID = create_progress_artifact(
            progress=0.0, key="build-vico-progress", description=f"{total} {what}")

    def advance(self, count: int) -> None:
        """So many more are done."""
        if count:
            self._done += count
            update_progress_artifact(artifact_id=self._id, progress=100.0 * self._done / self._total)


def publish_summary(out: Path, manifest: dict[str, Any], page: Path | None) -> None:
    """Tables of what was made and of what was left out, and where to look at it.

    Args:
        out: the data set.
        manifest: what is in it.
        page: the report about it; None where there is none.
    """
    create_table_artifact(
        key="build-vico-tables", description="Rows of each table",
        table=[{"table": table, "rows": rows} for table, rows in manifest["rows"].items()])
    create_table_artifact(
        key="build-vico-samples", description="Samples of each kind",
        table=[{"kind": kind, "samples": count} for kind, count in manifest["samples_by_kind"].items()])
    create_table_artifact(
        key="build-vico-rejected", description="What was left out, and why",
        table=[{"reason": reason, "rows": rows} for reason, rows in manifest["rejected_by_reason"].items()])
    create_table_artifact(
        key="build-vico-videos", description=f"Each video, or why it was left out ({_MOST_VIDEOS} at most)",
        table=_videos(out))
    if page is not None:
        create_markdown_artifact(
            key="build-vico-report", description="The page about the data set", markdown=_report_words(out, page))
    create_link_artifact(
        key="build-vico-output", link=out.absolute().as_uri(), link_text=out.name, description="The data set")


def _report_words(out: Path, page: Path) -> str:
    """A link, its address in letters, and a command: browsers do not follow links from a server's page to files."""
    address = (page / "index.html").absolute().as_uri()
    return (f"[Report]({address})\n\nVersion `{data_set_version(out)}` of the data set. Where the browser does not "
            f"follow the link, open\n\n```\n{address}\n```\n\nor serve it:\n\n"
            f"```\nreport-vico {shlex.quote(str(out.absolute()))} --serve\n```\n")


def _videos(out: Path) -> list[dict[str, Any]]:
    """A row for each video and for each source that was left out whole."""
    columns = ["source", "title", "duration_s", "n_clips", "n_frames", "n_samples", "split"]
    made = pyarrow.dataset.dataset(out / "data" / "videos", format="parquet").head(_MOST_VIDEOS, columns=columns)
    rejected = pyarrow.dataset.dataset(out / "data" / "rejected", format="parquet")
    whole = pc.field("clip_index").is_null() & pc.field("item_id").is_null()
    left_out = rejected.head(_MOST_VIDEOS, columns=["source", "reason"], filter=whole)
    return [*({**row, "left_out": ""} for row in made.to_pylist()),
            *({"source": row["source"], "left_out": row["reason"]} for row in left_out.to_pylist())][:_MOST_VIDEOS]


def publish_served(manifest: dict[str, Any], counts: Mapping[str, Mapping[str, int]]) -> None:
    """What the answers of the data set took, and how the requests of this run went."""
    create_table_artifact(
        key="build-vico-served", description="Tokens, cost and seconds of the answers that the data set rests on",
        table=manifest["served"]["usage"])
    create_table_artifact(
        key="build-vico-requests", description="Requests of this run and what came of them",
        table=[{"asked for": role, "what": what, "requests": count}
               for role, some in counts.items() for what, count in sorted(some.items())])


def publish_calibration(found: dict[str, Any]) -> None:
    """How many planted needles came out as clues."""
    create_table_artifact(
        key="build-vico-calibration", description="Needles planted in copies of videos, and what became of them",
        table=[{"what": what, "found": found[name], "of": found[whole]} for what, name, whole in (
            ("named by the captions", "captioned", "needles"), ("came out as clues", "clues", "needles"),
            ("pairs in the right order", "pairs_in_order", "pairs"))])
