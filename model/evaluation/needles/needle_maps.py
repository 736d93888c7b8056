"""Heat maps of a grid: one for each way to look and each way of scoring, depth over length."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from model.evaluation.needles.needle_grid import NO_ROOM
from model.evaluation.task import AnswerRow


@dataclass(frozen=True, slots=True)
class MapCell:
    """What became of all needles at one length and depth.

    Attributes:
        mean: share of needles found; None: there was no room.
        found, missed: names of needles.
    """

    mean: float | None
    found: tuple[str, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedleMap:
    """One heat map.

    Attributes:
        method, scoring: of what.
        lengths, depths: rising.
        cells: by length and depth.
    """

    method: str
    scoring: str
    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    cells: Mapping[tuple[int, float], MapCell]

    @property
    def mean(self) -> float | None:
        """Over the cells that had room."""
        means = [cell.mean for cell in self.cells.values() if cell.mean is not None]
        return sum(means) / len(means) if means else None


def needle_maps(rows: Iterable[AnswerRow]) -> list[NeedleMap]:
    """Sort answers into maps, in the order of their first answers."""
    grouped: dict[tuple[str, str], dict[tuple[int, float], list[AnswerRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        place = int(row.attributes["length"]), float(row.attributes["depth"])
        grouped[row.method, row.attributes["scoring"]][place].append(row)
    return [
        NeedleMap(
            method, scoring, tuple(sorted({length for length, _ in cells})),
            tuple(sorted({depth for _, depth in cells})), {place: _cell(some) for place, some in cells.items()})
        for (method, scoring), cells in grouped.items()]


def _cell(rows: Sequence[AnswerRow]) -> MapCell:
    found = tuple(row.attributes["needle"] for row in rows if row.score == 1)
    missed = tuple(row.attributes["needle"] for row in rows if row.score < 1)
    no_room = any(row.problem == NO_ROOM for row in rows)
    return MapCell(None if no_room else len(found) / len(rows), found, missed)


def draw_png(maps: Sequence[NeedleMap], path: Path) -> None:
    """Write all maps into one picture; grey: no room. Needs matplotlib (extra `plots`)."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = colormaps["RdYlGn"].with_extremes(bad="lightgray")
    widest = max(len(one.lengths) for one in maps)
    figure = Figure(figsize=(max(6, 2 + 0.5 * widest), sum(1.2 + 0.4 * len(one.depths) for one in maps)),
                    layout="constrained")
    for axes, one in zip(figure.subplots(len(maps), squeeze=False)[:, 0], maps, strict=True):
        means = [[_number(one.cells.get((length, depth))) for length in one.lengths] for depth in one.depths]
        image = axes.imshow(np.array(means), cmap=colours, vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(one.lengths)), one.lengths, rotation=45)
        axes.set_yticks(range(len(one.depths)), [f"{100 * depth:g} %" for depth in one.depths])
        axes.set_title(_title(one), fontsize=9)
        axes.set_xlabel("frames")
        axes.set_ylabel("depth")
        figure.colorbar(image, ax=axes)
    figure.savefig(path, metadata={"Software": None})


def _number(cell: MapCell | None) -> float:
    return float("nan") if cell is None or cell.mean is None else cell.mean


def _title(one: NeedleMap) -> str:
    mean = "no room" if one.mean is None else f"{100 * one.mean:.1f} % found"
    return f"{one.method}, {one.scoring}: {mean}"


def write_page(maps: Sequence[NeedleMap], path: Path, about: Mapping[str, object]) -> None:
    """Write a page that needs no other file and no script; every cell says which needles it missed.

    Args:
        maps: in the order of the page.
        path: an .html file.
        about: facts that stand above the maps.
    """
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in about.items())
    body = "".join(_section(one) for one in maps)
    path.write_text(_PAGE.format(style=_STYLE, facts=facts, body=body), encoding="utf-8")


def _section(one: NeedleMap) -> str:
    head = "".join(f'<th scope="col">{length}</th>' for length in one.lengths)
    rows = "".join(
        f'<tr><th scope="row">{100 * depth:g} %</th>'
        + "".join(_table_cell(one.cells.get((length, depth))) for length in one.lengths) + "</tr>"
        for depth in one.depths)
    return (f"<section><h2>{escape(_title(one))}</h2><table><thead><tr><th>depth \\ frames</th>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table></section>")


def _table_cell(cell: MapCell | None) -> str:
    if cell is None:
        return "<td></td>"
    if cell.mean is None:
        return '<td class="no-room" title="no room on the device">no room</td>'
    missed = f"missed: {', '.join(cell.missed)}" if cell.missed else "all found"
    # Red, yellow, green; the number stands in the cell, so colour is not needed to read it.
    return (f'<td style="background: hsl({round(120 * cell.mean)} 65% 68%)" title="{escape(missed)}">'
            f"{100 * cell.mean:.0f}</td>")


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1c24;
  background: #fff; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; } dd { margin: 0; }
section { overflow-x: auto; } h2 { font-size: 1.05rem; }
table { border-collapse: collapse; } th { font-weight: 500; padding: .2rem .5rem; }
td { min-width: 2.6rem; height: 2rem; text-align: center; border: 1px solid #fff; color: #14161c; }
td.no-room { background: #d4d6dc; font-size: .75rem; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Needle in a haystack</title><style>{style}</style></head>
<body><h1>Needle in a haystack</h1><dl>{facts}</dl>
<p>Numbers: % of needles found. Hover over a cell to see which were missed.</p>{body}</body></html>
"""
