"""Files in object stores (s3, gs, hf), copied through fsspec in a process that may be killed.

Where the store lies and who we are, the user's own environment says (AWS_ENDPOINT_URL, HF_TOKEN, …), never a list:
an address names a bucket and a key. So connections are not looked at here; what may be written and run is.
"""

import sys
import time
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from pipeline.address_guard import Permissions, guard
from pipeline.fetch_request import MEDIA, Fetched, FetchError, FetchRequest, Listing
from pipeline.killable_worker import Report
from pipeline.no_room import is_no_room
from pipeline.private_networks import ANY
from pipeline.sources import VIDEO_SUFFIXES, ListEntry
from schemas.reasons import Reason
from schemas.records import SourceFacts

_BLOCK = 4 << 20


def fetch_object(report: Report, request: FetchRequest, folder: Path) -> Fetched | Listing:
    """Copy an object; one that lies half copied in the folder is gone on with. A name that ends in / is searched.

    Raises:
        FetchError: it could not be fetched; the reason says why.
        OSError: there is no room for it.
    """
    sys.dont_write_bytecode = True
    # the process may have fetched for a stranger before: what it was held to then holds no more
    guard(Permissions(folder=folder, allowed_hosts=(ANY,)))
    scheme = request.url.partition(":")[0]
    try:
        system, key = fsspec.url_to_fs(request.url)
        if request.url.endswith("/"):
            return _listing(system, key, scheme, request.max_entries)
        _copy(report, system, key, request, folder)
    except ImportError as error:
        raise FetchError(
            Reason.FETCH_FAILED,
            f"{scheme}:// needs one more package: in the checkout, pip install -e '.[{scheme}]'") from error
    except FileNotFoundError as error:
        raise FetchError(Reason.NOT_FOUND, "the store holds no such object") from error
    except PermissionError as error:
        raise FetchError(Reason.ACCESS_DENIED, "the store does not let us in") from error
    except (TimeoutError, ConnectionError) as error:
        raise FetchError(Reason.SERVER_UNREACHABLE, type(error).__name__) from error
    except OSError as error:
        if is_no_room(error):
            raise
        raise FetchError(Reason.FETCH_BROKE_OFF, error.strerror or type(error).__name__) from error
    return Fetched(SourceFacts())


def _copy(report: Report, system: Any, key: str, request: FetchRequest, folder: Path) -> None:
    started = time.monotonic()
    size = system.info(key)["size"]
    if size > request.max_bytes:
        raise FetchError(Reason.TOO_MANY_BYTES, f"{size} bytes, more than {request.max_bytes}")
    part = _half_of(system.ukey(key), folder)
    with system.open(key, "rb", cache_type="none", block_size=_BLOCK) as source, part.open("ab") as target:
        done = target.tell()
        source.seek(done)
        while done < size and (block := source.read(min(_BLOCK, size - done))):
            target.write(block)
            done += len(block)
            report(done / size)
            _slow_down(done, started, request)
    if done != size:
        raise FetchError(Reason.FETCH_BROKE_OFF, f"{done} of {size} bytes arrived")
    part.rename(folder / MEDIA)
    (folder / "version").unlink()


def _half_of(version: str, folder: Path) -> Path:
    """What is half copied, if it is of this version of the object."""
    part, note = folder / f"{MEDIA}.part", folder / "version"
    if not note.exists() or note.read_text() != version:
        part.unlink(missing_ok=True)
        note.write_text(version)
    return part


def _slow_down(done: int, started: float, request: FetchRequest) -> None:
    spent = time.monotonic() - started
    if spent > request.deadline_s:
        raise FetchError(Reason.FETCH_TOO_LONG, f"more than {request.deadline_s:g} s")
    if request.rate_limit:
        time.sleep(max(0.0, done / request.rate_limit - spent))


def _listing(system: Any, key: str, scheme: str, most: int) -> Listing:
    names = sorted(name for name in system.find(key) if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES)
    return Listing(tuple(ListEntry(source=f"{scheme}://{name}") for name in names[: most + 1]))
