"""The page as a folder that opens from disk: no server, nothing from elsewhere."""

import shutil
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path

import duckdb

from pipeline.progress import StageProgress
from pipeline.report.page_data import (
    QUESTIONS_A_CHUNK,
    VIDEOS_A_CHUNK,
    questions_script,
    summary,
    summary_script,
    video_script,
    videos_script,
)
from pipeline.report.page_version import PageVersion
from pipeline.report.pictures import count_thumbnails, frames, frames_wanted, thumbnails
from pipeline.report.report_rows import Pictured, open_report

PAGE = files("pipeline.report") / "page"
"""The page itself, the same for every data set."""

PAGE_STAGES = ("questions", "videos", "pictures")
"""Stages of the progress of writing one."""


def write_page(folder: Path, out: Path, version: PageVersion, progress: StageProgress) -> int:
    """Write the page about a data set; an older one in its place goes.

    Args:
        folder: the data set.
        out: the page's folder; `index.html` in it is what to open.
        version: what the page shows, from `page_version`.
        progress: with the stages `PAGE_STAGES`.

    Returns:
        How many questions it shows.
    """
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with as_file(PAGE) as page:
        shutil.copytree(page, unfinished, copy_function=shutil.copyfile)
    with open_report(folder, version.most_samples) as connection:
        said = summary(connection, folder, version.name, version=version.data_set)
        _write(unfinished / "data" / "summary.js", summary_script(said))
        pictured = _write_questions(connection, unfinished, said["questions_shown"], progress)
        _write_videos(connection, unfinished, said["videos_shown"], progress)
        _write_pictures(connection, unfinished, pictured, progress)
    version.write(unfinished, said["questions_shown"])
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
    return said["questions_shown"]


def _write_questions(
    connection: duckdb.DuckDBPyConnection, page: Path, count: int, progress: StageProgress
) -> set[Pictured]:
    """The questions in chunks; the frames that their evidence shows."""
    pictured: set[Pictured] = set()
    progress.plan("questions", count)
    for chunk in range(-(-count // QUESTIONS_A_CHUNK)):
        script, rows = questions_script(connection, chunk)
        _write(page / "data" / f"questions-{chunk:05d}.js", script)
        pictured |= frames_wanted(rows)
        progress.advance("questions", len(rows))
    return pictured


def _write_videos(connection: duckdb.DuckDBPyConnection, page: Path, count: int, progress: StageProgress) -> None:
    """The list of videos in chunks, and a sheet for each."""
    for chunk in range(-(-count // VIDEOS_A_CHUNK)):
        _write(page / "data" / f"videos-{chunk:05d}.js", videos_script(connection, chunk))
    for number in progress.track(range(count), "videos", count):
        _write(page / "data" / f"video-{number:06d}.js", video_script(connection, number))


def _write_pictures(
    connection: duckdb.DuckDBPyConnection, page: Path, pictured: set[Pictured], progress: StageProgress
) -> None:
    """Thumbnails of all clips, and the frames that are shown."""
    count = count_thumbnails(connection) + len(pictured)
    for picture, jpeg in progress.track(
            chain(thumbnails(connection), frames(connection, pictured)), "pictures", count):
        path = page / picture.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)


def _write(path: Path, text: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "", encoding="ascii")
