"""A page of answers with their evidence: one file that opens from disk, without a script and without anything from
elsewhere; light or dark as the reader's system is. Whatever a video, a question or a model says stands there as text.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from model.answer_card import Card, Still, Stretch
from model.where import clock


def write_page(path: Path, title: str, facts: Mapping[str, object], cards: Sequence[Card]) -> None:
    """Write the page.

    Args:
        path: an .html file.
        title: its heading.
        facts: what stands above the cards.
        cards: in the order of the page.
    """
    said = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    body = "".join(map(_card, cards)) or "<p>No answers.</p>"
    truth = ', <b class="t">where the answer is shown</b>' if any(card.truth for card in cards) else ""
    page = _PAGE.format(title=_text(title), style=_STYLE, facts=said, truth=truth, body=body)
    path.write_text(page, encoding="utf-8")


def _text(value: object) -> str:
    return escape(str(value))


def _card(card: Card) -> str:
    rows = [(card.said_as, card.said or "(nothing)")]
    rows += [("Right answer", card.answer)] if card.answer is not None else []
    rows += [("Looked at", "; ".join(map(_stretch, card.found)))] if card.found else []
    rows += [("Shown at", "; ".join(map(_stretch, card.truth)))] if card.truth else []
    options = "".join(f"<li>{_text(option)}</li>" for option in card.options)
    verdicts = "".join(f'<span class="verdict {"good" if good else "bad"}">{_text(said)}</span>'
                       for said, good in card.verdicts)
    return (
        f'<article class="card"><p class="kind">{_text(card.kind)} <span>{_text(card.video)}</span>{verdicts}</p>'
        f"<h2>{_text(card.question)}</h2>" + (f'<ol type="A">{options}</ol>' if options else "")
        + "<dl>" + "".join(f"<dt>{name}</dt><dd>{_text(said)}</dd>" for name, said in rows) + "</dl>"
        + _bar(card) + (f'<div class="stills">{"".join(map(_still, card.stills))}</div>' if card.stills else "")
        + "</article>")


def _stretch(stretch: Stretch) -> str:
    said = f"{clock(stretch.start_s)} to {clock(stretch.end_s)}"
    return f"{said}, {stretch.label}" if stretch.label else said


def _bar(card: Card) -> str:
    """The bar of time: levels above, spans looked at in the middle, the truth below."""
    length_s = card.end_s - card.start_s
    if not length_s > 0:
        return ""

    def row(name: str, top: int, stretches: Sequence[Stretch]) -> str:
        return "".join(
            f'<rect class="{name}" x="{1000 * (one.start_s - card.start_s) / length_s:.2f}" y="{top}" height="10" '
            f'width="{max(1000 * (one.end_s - one.start_s) / length_s - 2, 2):.2f}">'
            f"<title>{_text(_stretch(one))}</title></rect>" for one in stretches)

    width = 1000 / max(len(card.levels), 1)
    levels = "".join(
        f'<rect class="level" x="{number * width:.2f}" y="{44 - 40 * level:.2f}" width="{width:.2f}" '
        f'height="{40 * level:.2f}"/>' for number, level in enumerate(card.levels))
    rows = row("found", 48, card.found) + row("truth", 62, card.truth)
    top, bottom = 4 if levels else 42, 74 if card.truth else 60
    ends = f"<span>{clock(card.start_s)}</span><span>{clock(card.end_s)}</span>"
    return (
        f'<figure><svg viewBox="0 {top} 1000 {bottom - top}" style="height: {bottom - top}px" '
        'preserveAspectRatio="none" role="img" aria-label="bar of time">'
        f'<rect class="track" x="0" y="{top}" width="1000" height="{44 - top}"/>{levels}{rows}</svg>'
        f"<figcaption>{ends}</figcaption></figure>")


def _still(still: Still) -> str:
    kinds = [name for name, holds in (("truth", still.right), ("found", still.found)) if holds]
    words = " and ".join({"truth": "shown here", "found": "looked at"}[kind] for kind in kinds)
    return (f'<figure class="{" ".join(kinds)}"><img alt="frame at {clock(still.time_s)}" '
            f'src="data:image/jpeg;base64,{b64encode(still.jpeg).decode()}"><figcaption>{clock(still.time_s)}'
            f"{f': {words}' if words else ''}</figcaption></figure>")


_STYLE = """
:root { --paper: #fbfaf6; --card: #fff; --ink: #1c1a15; --soft: #6a655a; --line: #e5e1d6; --bed: #f1eee6;
  --found: #0b6e63; --truth: #c4571b; --level: #a5cfc4; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #14130f; --card: #1c1b16; --ink: #ece8dd; --soft: #a39d8e;
  --line: #34312a; --bed: #25231d; --found: #5cc3b1; --truth: #f0935a; --level: #2d5a50; } }
body { font: 15px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 2rem 1rem;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.05rem; margin: .2rem 0 .6rem; white-space: pre-line; }
dl { display: grid; grid-template-columns: fit-content(11rem) 1fr; gap: .1rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; white-space: pre-line; } ol { margin: .3rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.3rem;
  margin: 1.2rem 0; }
.kind { margin: 0; font-size: .85rem; color: var(--soft); } .kind span { margin-left: .6rem; }
.verdict.good { color: var(--found); } .verdict.bad { color: var(--truth); }
figure { margin: 0; } svg { display: block; width: 100%; }
.track { fill: var(--bed); } .level { fill: var(--level); } rect.found { fill: var(--found); }
rect.truth { fill: var(--truth); }
figcaption { display: flex; justify-content: space-between; font-size: .8rem; color: var(--soft); }
.stills { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .6rem; margin-top: .8rem; }
.stills img { display: block; width: 100%; border-radius: 6px; }
.stills .truth img { outline: 3px solid var(--truth); } .stills .found img { outline: 3px solid var(--found); }
.key b { font-weight: 600; } .key .f { color: var(--found); } .key .t { color: var(--truth); }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1><dl>{facts}</dl>
<p class="key">In the bars of time: <b class="f">where the model looked</b>{truth}.</p>{body}</body></html>
"""
