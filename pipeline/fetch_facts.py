"""What a site says of a video, brought to our words: text of a stranger, none of which is trusted."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.licences import licence_name
from schemas.records import Chapter, SourceFacts

_SUBTITLE_KINDS = ("json3", "vtt", "srt")
_MOST_CHAPTERS = 10_000
_LATEST_S = 48 * 3600.0


def read_facts_of_site(info: dict[str, Any]) -> SourceFacts:
    """The facts in what yt-dlp learnt of a video."""
    categories = info.get("categories") or []
    is_plain_file = info.get("extractor_key") == "Generic" and info.get("title") == _stem(info.get("webpage_url"))
    return SourceFacts(
        # the title of a plain file is its name, which says nothing
        title=None if is_plain_file else one_line(info.get("title"), 500),
        domain=one_line(categories[0], 100) if categories else None, language=one_line(info.get("language"), 35),
        license=licence_name(one_line(info.get("license"), 200)),
        uploader=one_line(info.get("uploader") or info.get("channel"), 300),
        published=None if is_plain_file else _date(info.get("upload_date") or info.get("release_date")),
        chapters=tuple(_chapters(info.get("chapters") or [])))


def _chapters(said: Sequence[dict[str, Any]]) -> Iterator[Chapter]:
    for one in said[:_MOST_CHAPTERS]:
        start_s, end_s = one.get("start_time"), one.get("end_time")
        is_time = isinstance(start_s, int | float) and isinstance(end_s, int | float)
        if is_time and 0 <= start_s < end_s < _LATEST_S:  # neither is a number that is none
            yield Chapter(start_s=float(start_s), end_s=float(end_s), title=_chapter_title(one.get("title")))


def _chapter_title(said: Any) -> str | None:
    """yt-dlp makes a title where there is none."""
    title = one_line(said, 300)
    return None if title is None or re.fullmatch(r"<Untitled Chapter \d+>", title) else title


def _stem(url: Any) -> str | None:
    return Path(unquote(urlsplit(url).path)).stem if isinstance(url, str) else None


def one_line(text: Any, letters: int) -> str | None:
    """Text from a stranger: one line of letters that UTF-8 can hold."""
    if not isinstance(text, str):
        return None
    clean = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]+", " ", text).strip()
    return clean[:letters] or None


def _date(text: Any) -> date | None:
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text) if isinstance(text, str) else None
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def choose_subtitles(info: dict[str, Any], languages: Sequence[str]) -> tuple[str | None, bool, dict[str, Any]] | None:
    """One track: written by people before written by machines, in the video's language before the wished ones."""
    wanted = [language for language in (info.get("language"), *languages) if isinstance(language, str)]
    for auto, tracks in ((False, info.get("subtitles")), (True, info.get("automatic_captions"))):
        tracks = {name: forms for name, forms in (tracks or {}).items() if name != "live_chat"}
        names = [name for language in wanted for name in tracks
                 if name.split("-")[0].lower() == language.split("-")[0].lower()]
        for name in [*names, *([] if auto else tracks)]:
            for kind in _SUBTITLE_KINDS:
                form = next((form for form in tracks[name] if form.get("ext") == kind), None)
                if form is not None:
                    return (name if re.fullmatch(r"[A-Za-z0-9-]{1,35}", name) else None), auto, form
    return None
