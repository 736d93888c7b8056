"""The same rows have the same hash, in whatever portions they come."""

import numpy as np
import pyarrow as pa
import pytest

from model.training.content_hash import ContentHash

ROWS = [
    [{"from": "human", "value": "What?"}, {"from": "gpt", "value": None}], [], None,
    [{"from": "human", "value": ""}, {"from": None, "value": "Ünïcode"}], [{"from": "gpt", "value": "a"}],
]
NUMBERS = [[1, 2], None, [], [3], [0]]
SECONDS = [0.5, None, 0.0, 7.25, 1.0]


def table(**changes: list) -> pa.Table:
    kinds = {"talk": pa.list_(pa.struct({"from": pa.string(), "value": pa.string()})),
             "frames": pa.list_(pa.int32()), "seconds": pa.float64()}
    rows = {"talk": ROWS, "frames": NUMBERS, "seconds": SECONDS, **changes}
    return pa.table({name: pa.array(rows[name], kind) for name, kind in kinds.items()})


def hashed(rows: pa.Table, size: int) -> str:
    found = ContentHash()
    for begin in range(0, len(rows), size):
        for name in rows.column_names:
            found.add(name, rows[name].slice(begin, size).combine_chunks())
    return found.hexdigest()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_portions_and_layout_do_not_count(size: int) -> None:
    expected = hashed(table(), len(ROWS))
    assert hashed(table(), size) == expected
    twice = pa.concat_tables([table(), table()])
    assert hashed(twice.slice(len(ROWS)), size) == expected
    assert hashed(twice.take(pa.array(np.arange(len(ROWS)))), size) == expected


@pytest.mark.parametrize("changes", [
    {"talk": [[*ROWS[0][:1], {"from": "gpt", "value": ""}], *ROWS[1:]]},
    {"talk": [ROWS[0], None, [], *ROWS[3:]]},
    {"talk": [[{"from": "human", "value": "Wha"}, {"from": "gpt", "value": "t?"}], *ROWS[1:]]},
    {"frames": [[1], None, [2], [3], [0]]},
    {"frames": [[1, 2], [], [], [3], [0]]},
    {"seconds": [0.5, 0.0, None, 7.25, 1.0]},
    {"seconds": [0.5, None, 0.0, 7.25, 1.0000001]},
])
def test_everything_said_counts(changes: dict) -> None:
    assert hashed(table(**changes), 5) != hashed(table(), 5)
