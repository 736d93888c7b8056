"""Right answers to each kind of question, where a task about generated films asks several kinds.

A row is a run and a way to look, a column a kind with the number of its questions. A number is the mean of all seeds
in per cent, then each seed where there are several.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from model.evaluation.ablation.grid import Cell
from model.evaluation.ablation.grid_folders import GridFolders, film_answers
from model.evaluation.ablation.grid_tasks import FilmTask
from model.evaluation.ablation.measure_films import read_answers
from model.evaluation.answers import Answered


def kinds_table(folders: GridFolders) -> str:
    """The tables as Markdown, one for each task; empty if no task asks several kinds.

    Raises:
        FileNotFoundError: a cell was not measured for every seed.
    """
    return "\n".join("".join(f"| {' | '.join(line)} |\n" for line in lines) for lines in _tables(folders))


def _tables(folders: GridFolders) -> Iterator[list[list[str]]]:
    grid = folders.grid
    for name, task in grid.tasks.items():
        cells = [cell for cell in grid.all_cells() if cell.task == name]
        if not cells or not isinstance(task, FilmTask) or len(task.kinds) < 2:
            continue
        found = {cell: [_by_kind(read_answers(film_answers(folders.last_round(seed, cell.run), cell)))
                        for seed in grid.seeds_of(cell.run)] for cell in cells}
        asked = found[cells[0]][0]
        head = [name, "looks by", "ratio", *(f"{kind}, {len(answers)} asked" for kind, answers in asked.items())]
        lines = [head, ["---"] * len(head)]
        lines += [[*_looked(cell), *(_number(of_seeds, kind) for kind in asked)] for cell, of_seeds in found.items()]
        guess = [100 * sum(one.chance for one in answers) / len(answers) for answers in asked.values()]
        yield [*lines, ["chance", "", "", *(f"{chance:.1f}" for chance in guess)]]


def _by_kind(answers: Sequence[Answered]) -> Mapping[str, list[Answered]]:
    kinds: dict[str, list[Answered]] = defaultdict(list)
    for one in sorted(answers, key=lambda one: one.kind):
        kinds[one.kind].append(one)
    return kinds


def _looked(cell: Cell) -> list[str]:
    return [cell.run, cell.method, "none" if cell.ratio == 1 else str(cell.ratio)]


def _number(of_seeds: Sequence[Mapping[str, list[Answered]]], kind: str) -> str:
    shares = [100 * sum(one.right for one in seed[kind]) / len(seed[kind]) for seed in of_seeds]
    seeds = f" ({' '.join(f'{share:.1f}' for share in shares)})" if len(shares) > 1 else ""
    return f"{sum(shares) / len(shares):.1f}{seeds}"
