"""Licences as sites, lists and people write them, brought to one name each."""

import re
from collections.abc import Sequence

from pipeline.fetch_request import FetchError
from schemas.reasons import Reason

_NAMES = (
    (r"(cc[ -]?(0|zero)|creative commons zero)( .*)?|https?://creativecommons\.org/publicdomain/zero/.*", "cc0"),
    (r"public[ -]?domain( mark.*)?|https?://creativecommons\.org/publicdomain/mark/.*", "public-domain"),
)
_PARTS = re.compile(
    r"(?:cc[ -]|(?:https?://)?creativecommons\.org/licenses/)(by(?:[ -](?:nc|nd|sa))*)(?:[ /-]v?\d(?:\.\d)?.{0,20})?/?")
_WORDS = (("attribution", "by"), ("non-?commercial", "nc"), ("no-?deriv", "nd"), ("share-?alike", "sa"))


def licence_name(text: str | None) -> str | None:
    """The short name of a licence: cc-by, cc-by-sa, cc0, public-domain, …; else the text in lower case.

    Only what is nothing but a licence is read as one. Versions are left out: `CC BY 4.0` is `cc-by`. A restriction
    is never left out: what has one is another licence.
    """
    if text is None or not text.strip():
        return None
    low = " ".join(text.lower().replace("_", "-").split())
    parts = _PARTS.fullmatch(low)
    if parts:
        return _joined(re.split("[ -]", parts[1]))
    if low.startswith("creative commons attribution"):
        return _joined([short for word, short in _WORDS if re.search(word, low)])
    return next((name for pattern, name in _NAMES if re.fullmatch(pattern, low)), low)


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


def _joined(parts: Sequence[str]) -> str:
    return "-".join(["cc", *(part for part in ("by", "nc", "nd", "sa") if part in parts)])
