"""The command `export-llava`: samples as LLaVA JSON beside folders of frames, for trainers that read those.

`OUT/{split}.json` is a list of `{"id", "video", "conversations", …}`; `video` names a folder under OUT with the frames
of the stretch that the question is about, JPEGs whose names sort in the order in which they are shown: by time, and for
a twin, whose clues change places, as its sample lists them. Folders of one video share their files by hard links, so a
frame lies on the disk once.

Exit codes: 0 done, 2 wrong call, 3 nothing could be made.
"""

import argparse
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipeline.progress import StageProgress, add_log_json
from schemas.views import views_sql

_ROWS_AT_A_TIME = 256
_EXPORTED = "NOT calibration"
_STORED = "image.bytes IS NOT NULL AND t_s IS NOT NULL"


class NotExportedError(Exception):
    """Nothing could be exported; the message says why."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="export-llava", allow_abbrev=False, description="Write a VICO data set as LLaVA JSON and frame folders.")
    parser.add_argument("dir", metavar="DIR", help="a folder that build-vico wrote")
    parser.add_argument("--out", required=True, metavar="OUT", help="an empty or new folder")
    add_log_json(parser)
    options = parser.parse_args(argv)
    folder, out = Path(options.dir), Path(options.out)
    if not (folder / "manifest.json").is_file():
        return _complain(f"{folder} holds no finished data set (no manifest.json); "
                         "run build-vico with --out there first", 2)
    if out.exists() and any(out.iterdir()):
        return _complain(f"--out {out}: there is something in it already", 2)
    try:
        with StageProgress(["frames", "samples"], options.log_json) as progress:
            counts, left_out = export_llava(folder, out, progress)
    except NotExportedError as error:
        return _complain(str(error), 3)
    for split, count in sorted(counts.items()):
        print(f"{count:>10,} samples in {out / f'{split}.json'}")
    for reason, count in sorted(left_out.items()):
        print(f"{count:>10,} left out: {reason}")
    return 0


def export_llava(folder: Path, out: Path, progress: StageProgress) -> tuple[Counter[str], Counter[str]]:
    """Write the export.

    Args:
        folder: a finished data set.
        out: where to; new or empty.
        progress: with the stages frames and samples.

    Returns:
        Samples written by split, and samples left out by reason.

    Raises:
        NotExportedError: no sample could be exported.
    """
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(views_sql(folder))
        frames = _write_frames(connection, out, progress)
        samples: dict[str, list[dict[str, Any]]] = {}
        left_out: Counter[str] = Counter()
        (count,) = connection.execute(f"SELECT count(*) FROM samples WHERE {_EXPORTED}").fetchone()
        for row in progress.track(_samples(connection), "samples", count):
            if row["is_duplicate"]:
                progress.reject("samples")
                left_out["its video shows what another one shows"] += 1
                continue
            video = _stretch_folder(out, frames, row) if row["media"] is not None else None
            if video is None:
                progress.reject("samples")
                left_out["it is not about one stretch of one video" if row["media"] is None else
                         "the data set holds no frames of its stretch"] += 1
            else:
                samples.setdefault(row["split"], []).append(_entry(row, video))
    if not samples:
        raise NotExportedError("; ".join(f"{count} samples: {why}" for why, count in left_out.items()) or "no samples")
    for split, entries in samples.items():
        (out / f"{split}.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(out / "frames" / ".all")
    return Counter({split: len(entries) for split, entries in samples.items()}), left_out


def _samples(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """Samples in the order of their ids; media is the one stretch of video that each is about, else None."""
    result = connection.cursor().execute(f"""
        SELECT sample_id, split, dataset, kind, conversations, min_frames,
               coalesce(video_id IN (SELECT video_id FROM duplicates), false) AS is_duplicate,
               CASE WHEN len(media) = 1 AND media[1].type = 'video'
                    THEN media[1] END AS media
        FROM samples WHERE {_EXPORTED} ORDER BY sample_id""")
    names = [column[0] for column in result.description]
    while rows := result.fetchmany(_ROWS_AT_A_TIME):
        yield from (dict(zip(names, row, strict=True)) for row in rows)


def _write_frames(
    connection: duckdb.DuckDBPyConnection, out: Path, progress: StageProgress
) -> dict[str, list[tuple[float, Path]]]:
    """Every stored frame as a file, once; by video their times and files, in order."""
    (count,) = connection.execute(f"SELECT count(*) FROM frames WHERE {_STORED}").fetchone()
    progress.plan("frames", count)
    result = connection.cursor().execute(
        f"SELECT video_id, frame_index, t_s, image.bytes FROM frames WHERE {_STORED}")
    files: dict[str, list[tuple[float, Path]]] = {}
    while rows := result.fetchmany(_ROWS_AT_A_TIME):
        for video_id, index, time, jpeg in rows:
            path = out / "frames" / ".all" / video_id / f"{index:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
            files.setdefault(video_id, []).append((time, path))
        progress.advance("frames", len(rows))
    return {video_id: sorted(some) for video_id, some in files.items()}


def _stretch_folder(out: Path, frames: dict[str, list[tuple[float, Path]]], row: dict[str, Any]) -> str | None:
    """The folder of what a sample shows, made where it is not there yet; None without any frame."""
    media, stored = row["media"], frames.get(row["media"]["video_id"], [])
    if media["frame_indexes"]:
        by_index = {int(path.stem): path for _, path in stored}
        shown = [(f"{place:06d}.jpg", by_index.get(index)) for place, index in enumerate(media["frame_indexes"])]
        name = f"frames/{media['video_id']}/{row['sample_id']}"
    else:
        shown = [(path.name, path) for time, path in stored if media["start_s"] <= time < media["end_s"]]
        name = f"frames/{media['video_id']}/{round(1000 * media['start_s']):09d}-{round(1000 * media['end_s']):09d}"
    if not shown or any(path is None for _, path in shown):
        return None
    folder = out / name
    if not folder.exists():
        folder.mkdir(parents=True)
        for file, path in shown:
            os.link(path, folder / file)
    return name


def _entry(row: dict[str, Any], video: str) -> dict[str, Any]:
    return {"id": row["sample_id"], "video": video, "conversations": row["conversations"],
            "data_source": row["dataset"], "kind": row["kind"], "min_frames": row["min_frames"]}


def _complain(words: str, code: int) -> int:
    print(f"export-llava: {words}", file=sys.stderr)
    return code
