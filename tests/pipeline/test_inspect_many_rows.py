"""inspect-vico over many shards counts what was put there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.many_samples import write_many_samples

INSPECT = Path(sys.executable).with_name("inspect-vico")


def _ask(folder: Path, sql: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [INSPECT, folder, "--json", "--sql", sql], capture_output=True, text=True, timeout=300, check=True,
        stdin=subprocess.DEVNULL)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_groups_over_many_shards_are_those_that_were_drawn(tmp_path: Path, long_tests: bool) -> None:
    count, buckets = (10_000_000, 1024) if long_tests else (30_000, 101)
    drawn = write_many_samples(tmp_path, count, buckets, seed=1)
    rows = _ask(tmp_path, "SELECT kind, count(*) AS n, CAST(sum(distance_s) AS BIGINT) AS s FROM samples GROUP BY kind")
    assert {row["kind"]: (row["n"], row["s"]) for row in rows} == {
        kind: (drawn.kinds[kind], drawn.distance_s[kind]) for kind in drawn.kinds}
    assert sum(row["n"] for row in rows) == count
    rows = _ask(tmp_path, "SELECT answer_index AS place, count(*) AS n FROM samples GROUP BY place")
    assert {row["place"]: row["n"] for row in rows} == drawn.answers
