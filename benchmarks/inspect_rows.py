"""How long `inspect-vico` takes over millions of samples: whole commands, beside pyarrow on the same files.

    python benchmarks/inspect_rows.py                          # ten million rows in 64 and in 4,096 shards
    python benchmarks/inspect_rows.py --rows 1000000 --shards 128

The rows are drawn and written by `tests/many_samples.py`, as long as those of a build. Each query runs three times, the
quickest counts; the files were just written, so they are in memory as far as they fit.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.dataset as ds
from cost import Cost, run, timed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the generator lives beside the tests

from tests.many_samples import write_many_samples

INSPECT = Path(sys.executable).with_name("inspect-vico")
QUERIES = {
    "start, no row": "SELECT 1",
    "count by kind": "SELECT kind, count(*) FROM samples GROUP BY kind",
    "means by kind and split":
        "SELECT kind, split, count(*), avg(distance_s), min(min_frames) FROM samples GROUP BY ALL",
    "blind answers by kind": "SELECT kind, sum(checks.blind_right), sum(checks.blind_asked) FROM samples GROUP BY kind",
    "questions of each video, top 10":
        "SELECT video_id, count(*) AS n FROM samples GROUP BY 1 ORDER BY n DESC LIMIT 10",
    "words in a question": "SELECT count(*) FROM samples WHERE contains(question, '123456')",
}


def main() -> None:
    """Print the seconds of each query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[64, 4096])
    options = parser.parse_args()
    for shards in options.shards:
        folder = Path(tempfile.mkdtemp(prefix="inspect-rows-"))
        try:
            wrote = timed(lambda folder=folder, shards=shards: write_many_samples(folder, options.rows, shards, seed=0))
            size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
            print(f"\n{options.rows:,} samples in {shards:,} shards, {size / 1e9:.2f} GB, written in "
                  f"{wrote.cpu_s:.0f} s of CPU; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            measure(folder)
        finally:
            shutil.rmtree(folder)


def measure(folder: Path) -> None:
    """Every query as a command of its own."""
    print(f"{'':34}{'wall s':>9}{'CPU s':>9}")
    for what, sql in QUERIES.items():
        say(what, min((run(INSPECT, folder, "--json", "--sql", sql) for _ in range(3)), key=lambda cost: cost.wall_s))
    say("limit: count by kind by pyarrow", min((timed(lambda: by_pyarrow(folder)) for _ in range(3)),
                                               key=lambda cost: cost.wall_s))


def by_pyarrow(folder: Path) -> None:
    """The same as "count by kind", in this process."""
    table = ds.dataset(folder / "data" / "samples").to_table(columns=["kind"])
    table.group_by("kind").aggregate([([], "count_all")])


def say(what: str, cost: Cost) -> None:
    """A line of the table."""
    print(f"{what:34}{cost.wall_s:9.2f}{cost.cpu_s:9.2f}", flush=True)


if __name__ == "__main__":
    main()
