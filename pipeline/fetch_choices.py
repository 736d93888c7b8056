"""Whether what was chosen about fetching can be used, found before any work starts."""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.private_networks import ANY, parse_allowed
from schemas.source_choices import SourceChoices

_PROXIES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


class FetchChoiceError(ValueError):
    """A choice that cannot be used; the message says why."""


def check_fetch_choices(choices: SourceChoices) -> None:
    """Look at what pydantic cannot.

    Raises:
        FetchChoiceError: an address, a file or the proxy cannot be used.
    """
    for text in choices.allow_private_hosts:
        try:
            if text != ANY:
                parse_allowed(text)
        except ValueError as error:
            raise FetchChoiceError(
                f"--allow-private-hosts {text}: {error}; expected 10.0.0.0/8, 127.0.0.1:8000 or any") from error
    if choices.cookies is not None:
        try:
            Path(choices.cookies).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FetchChoiceError(f"--cookies {choices.cookies}: {error}") from error
    if choices.proxy is not None and urlsplit(choices.proxy).scheme not in _PROXIES:
        raise FetchChoiceError(f"--proxy {choices.proxy}: expected http://, https:// or socks5://HOST:PORT")
