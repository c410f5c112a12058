"""Tables as text, and a picture of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from tests.bench.contestants import BARE, DIRECT, NGINX, OURS

Cell = float | str
COLOURS = {DIRECT: "#8c96a0", BARE: "#d08770", OURS: "#2a7ab0", NGINX: "#5b9a68"}
OTHER_REVISION = "#b48ead"
WIDTH, LEFT, BAR, GAP, PANEL = 760, 210, 15, 6, 34


@dataclass(frozen=True)
class Table:
    """Rows of a name and cells. `bars` names the columns that the picture shows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    bars: Sequence[str] = ()
    notes: Sequence[str] = field(default=())

    def text(self) -> str:
        """In columns, as for a terminal or a README."""
        lines = [["", *self.columns]] + [[name, *map(shown, cells)] for name, cells in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        body = [
            "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        ]  # fmt: skip
        return "\n".join(
            [self.title, *(f"    {line}".rstrip() for line in body), *(f"    {note}" for note in self.notes)]
        )


def shown(cell: Cell) -> str:
    """Three digits that count."""
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def medians(rounds: Iterable[Sequence[float]]) -> list[float]:
    """Column by column."""
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def ratio(measured: Mapping[str, Sequence[Sequence[float]]], column: int, other: str = BARE) -> float:
    """Ours over another one: the median of the rounds' ratios, for what slows a round down slows both."""
    pairs = zip(measured[OURS], measured[other], strict=True)
    return statistics.median(ours[column] / (than[column] or math.inf) for ours, than in pairs)


def ratios(measured: Mapping[str, Sequence[Sequence[float]]], columns: Mapping[str, int]) -> list[str]:
    """A line for bare mitmdump, and for another revision if there is one: ours over it, in these columns."""
    others = [name for name in measured if name not in (DIRECT, OURS, NGINX)]
    return [
        f"ours / {name}: {', '.join(f'{ratio(measured, column, name):.2f} {what}' for what, column in columns.items())}"
        for name in others
    ]


def picture(tables: Iterable[Table]) -> str:
    """An SVG with a panel of bars for each column that is to be shown."""
    parts: list[str] = []
    top = 20
    for table in tables:
        for column in table.bars:
            index = table.columns.index(column)
            bars = {name: cells[index] for name, cells in table.rows}
            panel, height = _panel(f"{table.title}: {column}", bars, top)
            parts.append(panel)
            top += height
    style = "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
    return f'{head}<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'


def _panel(title: str, bars: Mapping[str, Cell], top: int) -> tuple[str, int]:
    """Its drawing and its height; each bar has the colour of its contestant."""
    most = max((value for value in bars.values() if isinstance(value, float)), default=0) or 1
    parts = [f'<text class="title" x="12" y="{top + 4}">{escape(title)}</text>']
    y = top + 14
    for name, value in bars.items():
        width = (WIDTH - LEFT - 90) * value / most if isinstance(value, float) else 0
        colour = next((colour for contestant, colour in COLOURS.items() if contestant in name), OTHER_REVISION)
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + max(width, 1) + 6:.1f}" y="{y + BAR - 3}">{shown(value)}</text>')
        y += BAR + GAP
    return "".join(parts), y - top + PANEL


def write(tables: Sequence[Table], path: Path) -> None:
    """The picture, into a file whose folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture(tables))
