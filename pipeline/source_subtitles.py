"""The subtitles of one source: the first of its files that can be read."""

from pathlib import Path

from pipeline.subtitles import SubtitlesError, read_subtitles
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, Source, Subtitle


def subtitles_of(source: Source) -> tuple[list[Subtitle], list[Rejection]]:
    """The lines of the first readable file, and a rejection for each file before it."""
    rejected = []
    for file in source.subtitle_files:
        try:
            return read_subtitles(Path(file.path), file.auto), rejected
        except (SubtitlesError, OSError) as error:
            words = str(error) if isinstance(error, SubtitlesError) else error.strerror or "it cannot be read"
            rejected.append(Rejection(
                stage=Stage.SOURCES, reason=Reason.SUBTITLES_UNREADABLE, source=source.source,
                detail=f"the subtitles {Path(file.path).name!r} are left out: {words}"))
    return [], rejected
