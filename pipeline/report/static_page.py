"""The page as a folder that opens from disk: no server, nothing from elsewhere."""

import shutil
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path

from pipeline.report.page_data import (
    QUESTIONS_A_CHUNK,
    VIDEOS_A_CHUNK,
    questions_script,
    summary,
    summary_script,
    video_script,
    videos_script,
)
from pipeline.report.pictures import frames, frames_wanted, thumbnails
from pipeline.report.report_rows import Pictured, open_report

PAGE = files("pipeline.report") / "page"
"""The page itself, the same for every data set."""


def write_page(folder: Path, out: Path, most_samples: int, name: str) -> int:
    """Write the page about a data set; an older one in its place goes.

    Args:
        folder: the data set.
        out: the page's folder; `index.html` in it is what to open.
        most_samples: so many questions at most; whole videos, in the order of their ids, which is random.
        name: what the page calls the data set.

    Returns:
        How many questions it shows.
    """
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with as_file(PAGE) as page:
        shutil.copytree(page, unfinished)
    with open_report(folder, most_samples) as connection:
        said = summary(connection, folder, name)
        _write(unfinished / "data" / "summary.js", summary_script(said))
        pictured: set[Pictured] = set()
        for chunk in range(-(-said["questions_shown"] // QUESTIONS_A_CHUNK)):
            script, rows = questions_script(connection, chunk)
            _write(unfinished / "data" / f"questions-{chunk:05d}.js", script)
            pictured |= frames_wanted(rows)
        for chunk in range(-(-said["videos_shown"] // VIDEOS_A_CHUNK)):
            _write(unfinished / "data" / f"videos-{chunk:05d}.js", videos_script(connection, chunk))
        for number in range(said["videos_shown"]):
            _write(unfinished / "data" / f"video-{number:06d}.js", video_script(connection, number))
        for picture, jpeg in chain(thumbnails(connection), frames(connection, pictured)):
            path = unfinished / picture.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)
    return said["questions_shown"]


def _write(path: Path, text: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "", encoding="ascii")
