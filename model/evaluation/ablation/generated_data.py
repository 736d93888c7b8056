"""The data that a grid generates: films with VICO and single moments made from them, and pictures with captions."""

from model.evaluation.ablation.grid import Films
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.made_of import note_made_of
from model.evaluation.ablation.own_commands import OwnCommands
from model.evaluation.miniature_films import CLIP_S, write_films, write_stills
from model.evaluation.single_moments import write_single_moments


def films_are_there(folders: GridFolders, name: str) -> bool:
    """Whether a data set of films is finished."""
    return all((folder / "manifest.json").is_file() for folder in folders.sets_of_films(name))


def stills_are_there(folders: GridFolders) -> bool:
    """Whether the pictures are finished."""
    return (folders.stills / "tables" / "manifest.json").is_file()


def make_films(folders: GridFolders, commands: OwnCommands, name: str, films: Films) -> None:
    """Draw a data set of films and make samples of it; what is there stays."""
    folder, (vico, moments), span_seconds = folders.films(name), folders.sets_of_films(name), folders.grid.span_seconds
    note_made_of(folder / "made.json", {**films.model_dump(), "span_seconds": span_seconds})
    spans = [span_seconds - CLIP_S, span_seconds] if films.shorter_spans else [span_seconds]
    if not (vico / "manifest.json").is_file():
        for seed in films.seeds:
            commands.go_on()
            write_films(folder, [seed], films.seconds, films.apart)
        captions = write_films(folder, films.seeds, films.seconds, films.apart)  # of all, which are there now
        commands.run(
            folder / "build.log", "build-vico", folder / "films", "--out", vico,
            "--captioner", "file", "--captions", captions, "--clip-seconds", str(CLIP_S),
            "--min-last-clip-seconds", str(CLIP_S), "--frame-side", "32", "--caption-frame-side", "64",
            "--caption-frames", "1", *(word for span in spans for word in ("--spans-minutes", str(span / 60))),
            "--buckets", "2", "--open-share", str(films.open_share), "--twin-share", str(films.twin_share),
            "--test-share", "0" if name == "train" else "1", "--decode-threads", "1")
    write_single_moments(vico, moments, span_seconds, films.open_share)


def make_stills(folders: GridFolders, commands: OwnCommands) -> None:
    """Draw the pictures and bring them into shards; what is there stays."""
    folder = folders.stills
    note_made_of(folder / "made.json", {"count": folders.grid.stills})
    if not stills_are_there(folders):
        records = write_stills(folder, folders.grid.stills, seed=0)
        commands.run(
            folder / "import.log", "import-instructions", records, "--media", folder / "stills",
            "--dataset", "stills", "--buckets", "2", "--out", folder / "tables")
