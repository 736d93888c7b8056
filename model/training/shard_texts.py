"""What the conversations of shards say."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from model.training.shard_files import open_table


def shard_texts(folders: Iterable[Path]) -> Iterator[str]:
    """Every turn of every training sample, marks of media left out, in the order of the files.

    Raises:
        ShardError: a table is damaged or has other columns.
    """
    for folder in folders:
        for file in sorted((folder / "data" / "samples").glob("train-*.parquet")):
            for group in open_table(file, "samples").iter_batches(columns=["conversations"]):
                for turns in group.column("conversations").to_pylist():
                    yield from (turn["value"].replace("<image>", "").replace("<video>", "") for turn in turns)
