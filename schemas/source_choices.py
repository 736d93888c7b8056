"""What can be chosen about where videos come from: which are taken, and how they are fetched."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

HOW_FETCHED = frozenset({
    "cache", "cache_gb", "delete_source", "fetches", "fetches_per_host", "fetch_delay_seconds", "fetch_attempts",
    "fetch_retry_seconds", "fetch_stall_seconds", "rate_limit_mb", "cookies", "proxy", "allow_private_hosts",
})
"""Choices that cannot change a byte of the output."""


class SourceChoices(BaseModel):
    """What is taken, and how it is fetched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    licence: Annotated[list[str], Field(
        description="take only sources under this licence (cc-by, cc0, public-domain, …); may be repeated")] = []
    min_seconds: Annotated[float, Field(ge=0, description="shorter videos are left out")] = 0.0
    min_side: Annotated[int, Field(ge=0, le=8192, description="a smaller shorter side is left out, pixels")] = 64
    max_black: Annotated[float, Field(ge=0, le=1, description="largest share of black picture")] = 0.5
    max_still: Annotated[float, Field(ge=0, le=1, description="largest share of picture that stands still")] = 0.8
    subtitle_languages: Annotated[list[str], Field(
        description="languages of subtitles to look for, the best first, after the video's own")] = ["en"]
    fetch_height: Annotated[int, Field(ge=64, le=4320, description="fetch no larger picture than this, lines")] = 720
    max_fetch_gb: Annotated[float, Field(gt=0, le=1000, description="larger files are left out")] = 20.0
    max_fetch_hours: Annotated[float, Field(gt=0, le=240, description="a fetch that lasts longer is given up")] = 6.0
    max_playlist: Annotated[int, Field(ge=1, le=1_000_000, description="at most so many entries of a list")] = 1000

    cache: Annotated[str | None, Field(
        description="where fetched videos are kept; several builds may share it (default: inside --out)")] = None
    cache_gb: Annotated[float, Field(
        gt=0, description="above this size the videos not used for longest leave the cache")] = 500.0
    delete_source: Annotated[bool, Field(description="remove fetched videos once their shards are final")] = False
    fetches: Annotated[int, Field(ge=1, le=64, description="videos fetched at a time")] = 4
    fetches_per_host: Annotated[int, Field(ge=1, le=64, description="of these, from one host")] = 2
    fetch_delay_seconds: Annotated[float, Field(ge=0, description="between two visits to one host")] = 1.0
    fetch_attempts: Annotated[int, Field(ge=1, le=20, description="tries, where trying again makes sense")] = 4
    fetch_retry_seconds: Annotated[float, Field(
        ge=0, description="before the second try; twice as long before each next one")] = 5.0
    fetch_stall_seconds: Annotated[float, Field(gt=0, description="a fetch silent for so long is stopped")] = 60.0
    rate_limit_mb: Annotated[float | None, Field(gt=0, description="megabytes per second and fetch")] = None
    cookies: Annotated[str | None, Field(description="cookies file of a browser, Netscape format")] = None
    proxy: Annotated[str | None, Field(description="http, https or socks proxy")] = None
    allow_private_hosts: Annotated[list[str], Field(
        description="addresses that may be fetched from although they are not public: 10.0.0.0/8, "
                    "127.0.0.1:8000, or 'any'")] = []
