"""From a playlist, or a list that was fetched, to the sources it names. Both are data from strangers."""

from dataclasses import replace
from urllib.parse import urljoin

from pipeline.fetch_request import Listing
from pipeline.source_addresses import OBJECTS, AddressNotAllowedError, kind_of, shown_address
from pipeline.sources import ListEntry
from schemas.reasons import Reason, Stage
from schemas.records import Rejection, Source

_DEEPEST = 3
"""Lists in lists: a channel names its tabs, a tab its playlists, a playlist its videos."""


def sources_in(parent: Source, listing: Listing, most: int) -> tuple[list[Source], list[Rejection]]:
    """What a list names, each address once, and what of it is not taken.

    Args:
        parent: the source that turned out to be a list; what the user's own list says of it holds for its entries.
        listing: what was found there.
        most: entries beyond so many are left out.
    """
    if parent.fetched_lists >= _DEEPEST:
        return [], [_rejection(parent, Reason.LIST_UNREADABLE, f"it is a list in a list, more than {_DEEPEST} deep")]
    found: dict[str, Source] = {}
    rejected: list[Rejection] = []
    for entry in listing.entries[:most]:
        _take(parent, entry, found, rejected)
    if len(listing.entries) > most:
        rejected.append(_rejection(
            parent, Reason.LIST_UNREADABLE, f"only the first {most} entries are taken (--max-playlist)"))
    if listing.fault is not None:
        rejected.append(_rejection(
            parent, Reason.LIST_UNREADABLE, f"the list cannot be read to its end: {listing.fault}"))
    return list(found.values()), rejected


def _take(parent: Source, entry: ListEntry, found: dict[str, Source], rejected: list[Rejection]) -> None:
    url = _absolute(parent.url, entry.source)
    try:
        kind_of(url, from_fetched_list=True)
    except AddressNotAllowedError as error:
        rejected.append(_rejection(parent, Reason.ADDRESS_NOT_ALLOWED, f"an entry of the list: {error}", url))
        return
    said = {name: value for name, value in entry.model_dump(exclude={"source"}).items() if value is not None}
    inherited = replace(parent, title=None, published=None, url=url, fetched_lists=parent.fetched_lists + 1)
    found.setdefault(url, replace(inherited, source=shown_address(url), **said))


def _absolute(base: str, address: str) -> str:
    """The address; one without a scheme stands for what lies beside the list on its server."""
    is_relative = "://" not in address and not address.startswith("/") and base.partition(":")[0] not in OBJECTS
    return urljoin(base, address) if is_relative else address


def _rejection(parent: Source, reason: Reason, detail: str, raw: str | None = None) -> Rejection:
    return Rejection(stage=Stage.FETCH, reason=reason, detail=detail, source=parent.source, raw=raw and raw[:500])
