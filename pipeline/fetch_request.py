"""What a fetch is asked for, and what comes of it: the words between a build and its fetching processes."""

from dataclasses import dataclass

from pipeline.sources import ListEntry
from schemas.reasons import Reason
from schemas.records import SourceFacts

MEDIA = "media"
"""The name of the fetched file in its folder."""
LIST = "list"
"""The name of a fetched list in its folder."""
_AGAIN = frozenset({
    Reason.TOO_MANY_REQUESTS, Reason.SERVER_FAULT, Reason.SERVER_UNREACHABLE, Reason.FETCH_BROKE_OFF,
    Reason.FETCH_STALLED,
})


class FetchError(Exception):
    """A source that could not be fetched, with the reason for the table `rejected`."""

    def __init__(self, reason: Reason, detail: str, wait_s: float | None = None) -> None:
        super().__init__(reason, detail, wait_s)
        self.reason = reason
        self.detail = detail
        self.wait_s = wait_s
        """How long the server asks us to wait, where it does."""

    @property
    def may_pass(self) -> bool:
        """Whether trying again makes sense."""
        return self.reason in _AGAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What to fetch, and how much of it at most."""

    url: str
    height: int
    max_bytes: int
    max_duration_s: float
    deadline_s: float
    """Seconds after which the fetch is given up."""
    max_entries: int
    languages: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    known_licence: str | None = None
    """What the list says; it stands above what the site says."""
    rate_limit: float | None = None
    """Bytes per second."""
    cookies: str | None = None
    """The text of a cookies file."""
    proxy: str | None = None
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedSubtitles:
    """A subtitle file in the folder."""

    name: str
    language: str | None
    auto: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """A video that lies in the folder as `media`, and what the site knows of it."""

    facts: SourceFacts
    subtitles: tuple[FetchedSubtitles, ...] = ()
    notes: tuple[str, ...] = ()
    """What went less well than it could have."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What stood there was a playlist or a list: what it names, in its order."""

    entries: tuple[ListEntry, ...]
    fault: str | None = None
    """Why it could not be read to its end."""
