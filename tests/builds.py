"""Running `build-vico` as people do, as a process of its own, and reading what it wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

COMMAND = str(Path(sys.executable).with_name("build-vico"))
_LONGEST_S = 400


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would choose something for a build, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VICO_", "PREFECT_"))}
    return kept | more


def build_vico(
    *arguments: str | os.PathLike[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [COMMAND, *map(os.fspath, arguments)], cwd=cwd, env=clean_environment(**(env or {})), text=True,
        capture_output=True, timeout=_LONGEST_S, stdin=subprocess.DEVNULL, check=False)


def built(*arguments: str | os.PathLike[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """The same, where it must succeed."""
    done = build_vico(*arguments, **how)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def rows(out: Path, table: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """All rows of a table, file after file."""
    return [
        row for path in sorted((out / "data" / table).glob("*.parquet"))
        for row in pq.read_table(path, columns=columns).to_pylist()]


def data_bytes(out: Path) -> dict[str, bytes]:
    """Every Parquet file of a data set by its path in it."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted((out / "data").rglob("*.parquet"))}


def journal(out: Path) -> list[dict[str, Any]]:
    """The whole lines of the journal, which may be growing."""
    path = out / ".work" / "journal.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def running(session: int) -> list[int]:
    """Processes of a session that still run; those that ended and wait to be noticed do not count."""
    lines = subprocess.run(
        ["ps", "-A", "-o", "pid=,sess=,stat="], text=True, capture_output=True, check=True).stdout.splitlines()
    found = [line.split() for line in lines]
    return [int(pid) for pid, owner, state in found if int(owner) == session and not state.startswith("Z")]
