"""What a mixture names and the disk lacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model.training.mixture import Mixture, MixtureSource
from model.training.shard_files import holds_data_set, open_table, read_group, table_files


def missing_parts(mixture: Mixture) -> list[str]:
    """Folders that hold no finished data set, and data sets that no folder of their source holds; in words.

    Raises:
        ShardError: a table of a data set that is there cannot be read.
    """
    there = {folder: _kinds(folder) for folder in mixture.folders if holds_data_set(folder)}
    # A folder of the call that no source asks for is named all the same.
    named = dict.fromkeys([*mixture.folders, *(Path(folder).resolve() for folder in mixture.shards)])
    lacking = [f"{folder}: no finished data set there (no manifest.json, which build-vico and import-instructions "
               "write last)" for folder in named if not holds_data_set(folder)]
    for source in mixture.sources:
        lacking += [f"{source.name}: {name}" for name in _missing(source, mixture.folders_of(source), there)]
    return lacking


def _kinds(root: Path) -> set[tuple[str, str]]:
    """Data set and kind of every sample."""
    found = set()
    for path in table_files(root, "samples"):
        file = open_table(path, "samples")
        for number in range(file.num_row_groups):
            table = read_group(file, path, number, ["dataset", "kind"])
            pairs = table.group_by(["dataset", "kind"], use_threads=False).aggregate([]).to_pylist()
            found |= {(pair["dataset"], pair["kind"]) for pair in pairs}
    return found


def _missing(
    source: MixtureSource, folders: Sequence[Path], there: Mapping[Path, set[tuple[str, str]]]
) -> list[str]:
    found = {dataset for folder in folders for dataset, kind in there.get(folder, ()) if source.takes(dataset, kind)}
    if source.datasets is None:
        return [] if found else ["every data set"]
    return [name for name in source.datasets if name not in found]
