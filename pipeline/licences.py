"""Licences as sites, lists and people write them, brought to one name each."""

import re
from collections.abc import Sequence

from pipeline.fetch_request import FetchError
from schemas.reasons import Reason

_NAMES = (
    (r"\b(cc0|cc-0|cc zero|creative commons zero)", "cc0"),
    (r"\bpublic[ -]?domain\b|/publicdomain/|\bpdm\b", "public-domain"),
    (r"creative commons attribution licen[cs]e", "cc-by"),
)
_PARTS = re.compile(r"(?:\bcc[ -]|licenses/)(by(?:-(?:nc|nd|sa))*)")
_WORDS = (("attribution", "by"), ("non-?commercial", "nc"), ("no-?deriv", "nd"), ("share-?alike", "sa"))


def licence_name(text: str | None) -> str | None:
    """The short name of a licence: cc-by, cc-by-sa, cc0, public-domain, …; else the text in lower case.

    Versions are left out: `CC BY 4.0` is `cc-by`. A restriction is never left out: what has one is another licence.
    """
    if text is None or not text.strip():
        return None
    low = " ".join(text.lower().replace("_", "-").split())
    parts = _PARTS.search(low.replace("cc by ", "cc-by-").replace("by-4", "by 4").replace("by-3", "by 3"))
    if parts:
        return "cc-" + _ordered(parts[1])
    if "creative commons" in low and "attribution" in low:
        return "cc-" + "-".join(short for word, short in _WORDS if re.search(word, low))
    for pattern, name in _NAMES:
        if re.search(pattern, low):
            return name
    return low


def check_licence(licence: str | None, wanted: Sequence[str]) -> None:
    """Whether a licence is one of those demanded.

    Raises:
        FetchError: it is not, or none is known.
    """
    name = licence_name(licence)
    if name is None:
        raise FetchError(Reason.NO_LICENCE, f"demanded is {' or '.join(wanted)}")
    if name not in {licence_name(one) for one in wanted}:
        raise FetchError(Reason.OTHER_LICENCE, f"it is {name!r}, demanded is {' or '.join(wanted)}")


def _ordered(parts: str) -> str:
    found = set(parts.split("-"))
    return "-".join(part for part in ("by", "nc", "nd", "sa") if part in found)
