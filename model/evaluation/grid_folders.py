"""Where the runs of a grid lie."""

from pathlib import Path


def round_folders(out: Path, seed: int, name: str) -> list[Path]:
    """Folders of one run in the order in which they were trained: several if it has a gate."""
    folder = out / f"seed-{seed}" / name
    rounds = sorted(folder.glob("round-*"), key=lambda path: int(path.name.removeprefix("round-")))
    return rounds or [folder]


def run_folder(out: Path, seed: int, name: str) -> Path:
    """Folder of one run, of its last round if it has several."""
    return round_folders(out, seed, name)[-1]
