"""Which addresses are taken, and from where: a list is data from a stranger."""

import re
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

WEB = frozenset({"http", "https"})
OBJECTS = frozenset({"s3", "gs", "hf"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SECRETS = re.compile(r"(?i)^(x-(amz|goog)-.*|sig|signature|token|access_token|auth|key|apikey|api_key|expires|"
                      r"awsaccesskeyid|googleaccessid|key-pair-id|policy|password|credential)$")
_LONGEST = 8192
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


class Kind(StrEnum):
    """How an address is opened."""

    PATH = "path"
    WEB = "web"
    OBJECT = "object"


class AddressNotAllowedError(ValueError):
    """An address of a kind that is not taken from where it was named; the message says why."""


def kind_of(address: str, from_fetched_list: bool = False) -> Kind:
    """How an address is opened.

    Args:
        address: what a person or a list names.
        from_fetched_list: whether the list itself came over the net. Such a list may name no file of ours.

    Raises:
        AddressNotAllowedError: it is of no kind that is taken.
    """
    scheme = _scheme(address)
    if scheme is None and "://" in address and "::" in address.partition("://")[0]:
        raise AddressNotAllowedError("addresses inside addresses (::) are not fetched")
    if scheme in WEB | OBJECTS:
        _check_url(address)
        return Kind.WEB if scheme in WEB else Kind.OBJECT
    if from_fetched_list:
        raise AddressNotAllowedError("a list that was fetched may name http, https, s3, gs and hf addresses only")
    if scheme is not None and scheme != "file":
        raise AddressNotAllowedError(f"{scheme}: addresses are not fetched; http, https, s3, gs and hf are")
    return Kind.PATH


def shown_address(url: str) -> str:
    """A URL as the data set may show it: without names, passwords, signatures and tokens."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _SECRETS.match(key)]
    return urlunsplit((parts.scheme.lower(), host.lower(), parts.path, urlencode(query), ""))


def youtube_address(video: str) -> str:
    """The address of a YouTube video from its id.

    Raises:
        AddressNotAllowedError: it is no such id.
    """
    if not _YOUTUBE_ID.fullmatch(video):
        raise AddressNotAllowedError(f"{video!r} is no YouTube id, which has 11 letters, digits, - or _")
    return f"https://www.youtube.com/watch?v={video}"


def host_of(url: str) -> str:
    """The host of a URL, or the bucket's scheme, for politeness towards one server."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2].lower() if parts.scheme in WEB else parts.scheme


def _scheme(address: str) -> str | None:
    """The scheme, in lower case; None for a path, a Windows drive included."""
    found = _SCHEME.match(address)
    if found is None or (len(found[1]) == 1) or not address[found.end():].startswith("//"):
        return None
    return found[1].lower()


def _check_url(url: str) -> None:
    if len(url) > _LONGEST:
        raise AddressNotAllowedError(f"an address of {len(url)} letters is too long")
    if any(letter <= " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in url):
        raise AddressNotAllowedError("an address holds no spaces and no control characters")
    if "__youtubedl_smuggle" in url:
        raise AddressNotAllowedError("the address holds orders to yt-dlp")
    if "::" in url.partition("?")[0].rpartition("]")[2]:
        raise AddressNotAllowedError("addresses inside addresses (::) are not fetched")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressNotAllowedError(f"no address: {error}") from error
    if not parts.hostname or port == 0:
        raise AddressNotAllowedError("the address names no host")
