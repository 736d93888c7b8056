"""What a grid needs, what of it is there, and what is missing: nothing is started."""

from collections.abc import Iterator
from pathlib import Path

from model.evaluation.ablation.generated_data import films_are_there, stills_are_there
from model.evaluation.ablation.grid import Cell
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.measure_cells import is_measured
from model.evaluation.ablation.train_run import is_trained
from model.evaluation.evaluate import group_looks
from model.evaluation.official_files import check_media
from model.evaluation.task import BadDataError, MissingDataError
from model.evaluation.tasks import all_tasks
from model.training.checkpoint_folder import newest_checkpoint
from model.training.initial_model import missing_models
from model.training.train_choices import TrainChoices


def plan_lines(folders: GridFolders) -> Iterator[str]:
    """Data, runs and cells, each with how far it is."""
    grid = folders.grid
    for name, films in grid.films.items():
        yield f"films {name}: {films.count} of {films.seconds} s: {_done(films_are_there(folders, name), 'drawn')}"
    if grid.stills:
        yield f"stills: {grid.stills}: {_done(stills_are_there(folders), 'drawn')}"
    for level in grid.levels():
        for name in level:
            yield f"run {name}{_from_what(folders, name)}"
            for seed in grid.seeds_of(name):
                if seed is not None:
                    yield f"  seed {seed}: {_how_far(folders, seed, name)}"
    cells = grid.all_cells()
    for cell in cells:
        yield f"cell {cell.run} {cell.task} {cell.way}: {_measured(folders, cell)} of {len(grid.seeds_of(cell.run))}"
    trainings = sum(len(grid.seeds_of(name)) for name, run in grid.runs.items() if run.init is None)
    measurements = sum(len(grid.seeds_of(cell.run)) for cell in cells)
    yield (f"{trainings} trainings, {sum(_is_done(folders, name, seed) for name, seed in _all_trained(folders))} done; "
           f"{measurements} measurements, {sum(_measured(folders, cell) for cell in cells)} done")


def missing_parts(folders: GridFolders) -> list[str]:
    """What must be there and is not: shards, models, files of benchmarks; each with what to do."""
    return [*_missing_shards(folders), *_missing_models(folders), *_missing_benchmarks(folders)]


def _missing_shards(folders: GridFolders) -> Iterator[str]:
    for folder in folders.given_shards:
        if not (folder / "manifest.json").is_file():
            yield f"shards {folder}: no finished data set there (no manifest.json)"
    own = [path for run in folders.grid.runs.values() for source in run.sources for path in source.shards or ()]
    for path in dict.fromkeys(own):
        if not (Path(path) / "manifest.json").is_file():
            yield f"shards {path}, named by a source: no finished data set there (no manifest.json)"
    hungry = [name for name, run in folders.grid.runs.items() if any(source.shards is None for source in run.sources)]
    if hungry and not folders.shards:
        yield f"shards: none are named for the runs {', '.join(hungry)}: give --shards DIR, or shards in the grid"


def _missing_models(folders: GridFolders) -> Iterator[str]:
    grid = folders.grid
    for name, run in grid.runs.items():
        given = folders.given_model(name)
        if given is not None:
            if not (given / "config.json").is_file():
                yield f"run {name}: no model in {given} (no config.json); give --init {name}=DIR"
        elif run.after is None:
            choices = TrainChoices.model_validate(
                {**grid.choices, **run.choices, "out": "somewhere", "mixture": "some"})
            yield from (f"run {name}: {line}" for line in missing_models(choices))


def _missing_benchmarks(folders: GridFolders) -> Iterator[str]:
    wanted = dict.fromkeys((task.benchmark, task.limit) for task in folders.grid.benchmark_tasks().values())
    for name, limit in wanted:
        task = all_tasks()[name]
        try:
            looks = group_looks(task.questions(folders.data))[:limit]
            check_media(task, [question for look in looks for question in look.questions])
        except (MissingDataError, BadDataError) as error:
            yield str(error)


def _from_what(folders: GridFolders, name: str) -> str:
    run, grid = folders.grid.runs[name], folders.grid
    given = folders.given_model(name)
    if given is not None:
        return f": the model {given}"
    choices = {**grid.choices, **run.choices}
    length = f"{choices['steps']:,} steps" if choices.get("steps") else f"{choices.get('epochs', 1)} epochs"
    parts = [f"after {run.after}" if run.after else f"from {choices['init']}", length,
             f"ratios {' '.join(map(str, grid.ratios_of(name)))}", " + ".join(source.name for source in run.sources)]
    if run.gate is not None:
        parts.append(f"up to {run.gate.most_rounds} rounds, until {run.gate.task} is {run.gate.at_least:.0%} right")
    return f": {', '.join(parts)}"


def _how_far(folders: GridFolders, seed: int, name: str) -> str:
    if _is_done(folders, name, seed):
        return "done"
    rounds = folders.rounds(seed, name)
    found = newest_checkpoint(rounds[-1])
    number = f"round {len(rounds)}, " if folders.grid.runs[name].gate and found else ""
    return f"{number}at step {found[1]['step']:,}" if found else "not begun"


def _is_done(folders: GridFolders, name: str, seed: int) -> bool:
    """Trained; of a run with a gate it shows once a later one was begun or its cells are measured."""
    if not is_trained(folders.last_round(seed, name)):
        return False
    if folders.grid.runs[name].gate is None:
        return True
    folder, cells = folders.last_round(seed, name), folders.grid.cells_of(name)
    followers = [other for other, run in folders.grid.runs.items() if run.after == name]
    return (any(is_measured(folders, folder, cell) for cell in cells)
            or any(folders.run(seed, other).is_dir() for other in followers))


def _all_trained(folders: GridFolders) -> Iterator[tuple[str, int]]:
    for name in folders.grid.runs:
        yield from ((name, seed) for seed in folders.grid.seeds_of(name) if seed is not None)


def _measured(folders: GridFolders, cell: Cell) -> int:
    return sum(is_measured(folders, folders.last_round(seed, cell.run), cell)
               for seed in folders.grid.seeds_of(cell.run))


def _done(is_so: bool, word: str) -> str:
    return word if is_so else f"not {word}"
