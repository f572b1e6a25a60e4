"""Tables: as HTML that can be read, and as CSV that can be taken away."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from jaxrain.pages.document import grouped
from jaxrain.verification.scoring import Interval

Cell = Interval | float | str | None


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      label: what it is about.
      cells: one for each column.
      hours: on how many hours its numbers rest; None where it is the table's number.
      meaning: what the numbers mean.
    """

    label: str
    cells: Sequence[Cell]
    hours: int | None = None
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """A table and what it rests on.

    Attributes:
      name: of its file, without an ending.
      basis: in words, what all its numbers rest on.
      hours: on how many hours they rest.
      corner: heading of the labels.
      columns: headings of the cells.
      groups: rows under a heading, which may be empty.
    """

    name: str
    basis: str
    hours: int
    corner: str
    columns: Sequence[str]
    groups: Sequence[tuple[str, Sequence[Row]]]


def number(value: float | None) -> str:
    """Three significant digits, four places at the most; a dash where not known."""
    if value is None:
        return "–"
    text = f"{value:#.3g}".rstrip(".") if abs(value) >= 0.1 else f"{value:.4f}"
    return text.replace("-", "−") if float(text) else "0"


def bounds(score: Interval) -> str:
    """'low to high', or nothing where no interval is known."""
    if score["low"] is None or score["high"] is None:
        return ""
    return f"{number(score['low'])} to {number(score['high'])}"


def html(table: Table) -> str:
    """The table, under a line that says what it rests on and offers it as CSV."""
    rows = [row for _, each in table.groups for row in each]
    meanings = any(row.meaning for row in rows)
    headings = [table.corner, *table.columns, *(["what it is"] if meanings else [])]
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings[:-1])
    head += f'<th scope="col"{" class=meaning" * meanings}>{escape(headings[-1])}</th>'
    body = ""
    for title, each in table.groups:
        if title:
            body += f'<tr class="group"><th colspan="{len(headings)}">{escape(title)}</th></tr>'
        body += "".join(_html_row(row, meanings) for row in each)
    data = base64.b64encode(csv_text(table).encode()).decode()
    link = (
        f'<a download="{escape(table.name)}.csv" href="data:text/csv;charset=utf-8;base64,{data}">'
        f"{escape(table.name)}.csv</a>"
    )
    return (
        f'<div class="wide"><table><caption>{escape(table.basis)}. {link}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def csv_text(table: Table) -> str:
    """The table as CSV with full digits; an interval's ends are columns of their own."""
    rows = [(title, row) for title, each in table.groups for row in each]
    intervals = [any(isinstance(row.cells[c], dict) for _, row in rows) for c, _ in _columns(table)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    header = ["group", "row"]
    for (_, name), interval in zip(_columns(table), intervals, strict=True):
        header += [name, f"{name} low", f"{name} high"] if interval else [name]
    writer.writerow([*header, "hours"])
    for title, row in rows:
        line: list[Cell] = [title, row.label]
        for cell, interval in zip(row.cells, intervals, strict=True):
            if isinstance(cell, dict):
                line += [cell["value"], cell["low"], cell["high"]]
            else:
                line += [cell, None, None] if interval else [cell]
        writer.writerow([*line, table.hours if row.hours is None else row.hours])
    return buffer.getvalue()


def _columns(table: Table) -> list[tuple[int, str]]:
    return list(enumerate(table.columns))


def _html_row(row: Row, meanings: bool) -> str:
    cells = "".join(f"<td>{_html_cell(cell)}</td>" for cell in row.cells)
    if meanings:
        cells += f'<td class="meaning">{escape(row.meaning)}</td>'
    return f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>'


def _html_cell(cell: Cell) -> str:
    if isinstance(cell, dict):
        return f"{number(cell['value'])}<small>{bounds(cell)}</small>"
    if isinstance(cell, int):
        return grouped(cell)
    return escape(cell) if isinstance(cell, str) else number(cell)
