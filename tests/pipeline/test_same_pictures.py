"""Which videos show what another one shows: copies and parts, whatever the order in which they come."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.same_pictures import find_same_pictures

PICTURES = np.random.default_rng(0).integers(-2**63, 2**63 - 1, 400)


def _product(folder: Path, name: str, hashes: np.ndarray) -> Path:
    """A decode product with four looks a second, the same hash for each second."""
    (folder / name).mkdir(exist_ok=True)
    repeated = np.repeat(hashes, 4)
    pq.write_table(pa.table({"picture_hash": repeated, "flat": np.zeros(len(repeated), bool)}),
                   folder / name / "looks.parquet")
    return folder / name


def _found(folder: Path, shown: dict[str, np.ndarray]) -> dict[str, str]:
    products = {name: _product(folder, name, hashes) for name, hashes in shown.items()}
    found = find_same_pictures(products)
    assert find_same_pictures(dict(reversed(products.items()))) == found
    return found


@pytest.mark.parametrize(("shown", "left_out"), [
    ({"a": PICTURES[:100], "b": PICTURES[100:200]}, {}),
    ({"a": PICTURES[:100], "b": PICTURES[:100] ^ 1}, {}),  # no hash is the same to the bit, so nobody compares
    ({"a": PICTURES[:100], "b": PICTURES[5:102]}, {"b": "a"}),
    ({"a": PICTURES[20:60], "b": PICTURES[:100]}, {"a": "b"}),  # a part goes, whatever its id
    ({"a": PICTURES[:100], "b": PICTURES[20:60]}, {"b": "a"}),
    ({"a": PICTURES[:100], "b": PICTURES[50:150]}, {}),  # half of each
    ({"a": PICTURES[:100], "b": PICTURES[:100], "c": PICTURES[30:60]}, {"b": "a", "c": "a"}),
    ({"a": PICTURES[30:60], "b": PICTURES[:100], "c": PICTURES[:100]}, {"a": "b", "c": "b"}),
    ({"a": PICTURES[:30], "b": PICTURES[:90], "c": PICTURES[:270]}, {"a": "c", "b": "c"}),
    ({"a": PICTURES[:5], "b": PICTURES[:100]}, {}),  # too few pictures to tell anything
])
def test_copies_and_parts_are_left_out(tmp_path: Path, shown: dict[str, np.ndarray], left_out: dict[str, str]) -> None:
    found = _found(tmp_path, shown)
    assert set(found) == set(left_out)
    assert all(found[name] == stays or stays in found for name, stays in left_out.items())


stretches = st.lists(st.tuples(st.integers(0, 390), st.integers(8, 300)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stretches)
def test_what_is_left_out_is_shown_by_one_that_stays(tmp_path: Path, stretches: list[tuple[int, int]]) -> None:
    shown = {f"v{number}": PICTURES[first:first + length] for number, (first, length) in enumerate(stretches)}
    found = _found(tmp_path, shown)
    assert not set(found) & set(found.values())
    enough = {name for name, hashes in shown.items() if len(hashes) >= 8}
    assert set(found) < enough or not found
