"""What an output was asked for last, so that explaining and growing need not be told the choices again.

    OUT/.work/request.json   the choices, a mapping; its `buckets` were fixed by the first build
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.work_store import write_file
from schemas.build_config import OF_THE_MACHINE, BuildConfig

_NEVER_STORED = {"proxy", "cookies"}
"""May name secrets, and change no byte."""
_HELD = {"caption_urls", "order_urls", "embedding_urls", "answers", "max_tokens", "max_cost"}
"""Choices that change no byte and hold for the next build all the same: whom to ask, and what all runs may cost."""
_GO_WITH = {"captioner": {"captions", "captions_complete", "calibrate"}, "orderer": {"blind"}}
"""Choices that make sense with one captioner or orderer, and not with another."""


class BucketsFixedError(Exception):
    """The number of shards of an output cannot be changed."""


def read_request(work: Path) -> dict[str, Any]:
    """The choices of the last build of an output; empty for a new one."""
    path = work / "request.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def inherited_choices(work: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of the last build that decide what is made, whom it asks, and what it may cost over all its runs.

    How a build runs, its workers and its cache for one, is each run's own.

    Args:
        work: the folder OUT/.work.
        said: what is chosen now. With another captioner or orderer, what went with the last one is not kept.
    """
    before = read_request(work)
    gone = {name for choice, others in _GO_WITH.items() if said.get(choice, before.get(choice)) != before.get(choice)
            for name in others}
    return {name: value for name, value in before.items()
            if name not in gone and (name not in OF_THE_MACHINE or name in _HELD)}


def write_request(work: Path, config: BuildConfig) -> None:
    """Remember the choices of a build."""
    said = config.model_dump(mode="json", exclude=_NEVER_STORED)
    for files in ("captions", "answers"):  # the next build may run in another folder
        said[files] = [os.path.abspath(name) for name in said[files]]
    write_file(work / "request.json", json.dumps(said, indent=1).encode())


def with_fixed_buckets(config: BuildConfig, work: Path) -> BuildConfig:
    """The same choices with the number of shards that the output has, where none is asked for.

    Raises:
        BucketsFixedError: another number is asked for.
    """
    fixed = read_request(work).get("buckets", config.buckets)
    if fixed == config.buckets:
        return config
    if "buckets" in config.model_fields_set:
        raise BucketsFixedError(
            f"--buckets {config.buckets}: the first build into this output fixed it at {fixed}; leave it out, or build "
            "into another folder")
    return config.model_copy(update={"buckets": fixed})
