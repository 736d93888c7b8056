"""A video site on the test server, and the yt-dlp plugin (`tests/site_plugin`) that knows it."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).parent / "site_plugin"
FILM: dict[str, Any] = {
    "id": "film", "title": "Ein Film / ../über %(id)s", "uploader": "O'Neil <b>", "upload_date": "20240229",
    "license": "Creative Commons Attribution license (reuse allowed)", "language": "de", "duration": 2,
    "categories": ["Science & Technology", "Film"],
    "chapters": [{"start_time": 0, "end_time": 1.0, "title": "Before"}, {"start_time": 1.0, "end_time": 2.0}],
    "formats": [
        {"url": "/small.mp4", "ext": "mp4", "format_id": "small", "width": 320, "height": 180, "vcodec": "h264"},
        {"url": "/large.mp4", "ext": "mp4", "format_id": "large", "width": 1280, "height": 720, "vcodec": "h264"},
        {"url": "/sound.m4a", "ext": "m4a", "format_id": "sound", "vcodec": "none", "acodec": "aac"}],
    "subtitles": {"en": [{"url": "/english.vtt", "ext": "vtt"}], "de": [{"url": "/small.vtt", "ext": "vtt"}]},
    "automatic_captions": {"de": [{"url": "/auto.vtt", "ext": "vtt"}]},
}


def write_film(folder: Path, name: str, **says: Any) -> None:
    """Have the site say of `/site/{name}` what `FILM` says, and what differs from it."""
    (folder / f"{name}.json").write_text(json.dumps(FILM | {"id": name} | says))


@contextlib.contextmanager
def plugin_on_path() -> Iterator[None]:
    """Processes that are started in the block find the plugin."""
    sys.path.insert(0, str(PLUGIN))
    try:
        yield
    finally:
        sys.path.remove(str(PLUGIN))
