"""One page of HTML that holds everything: opens anywhere, fetches nothing."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def document(title: str, body: str) -> str:
    """The page as text.

    Args:
      title: plain text; escaped here.
      body: HTML, in which whatever comes from files is escaped already.
    """
    style = files("jaxrain.pages").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def section(title: str, text: str, body: str) -> str:
    """A framed part of the page; title and text are HTML."""
    return f"<section><h2>{title}</h2>{f'<p>{text}</p>' if text else ''}{body}</section>"


def figure(png: bytes, alternative: str, rests_on: str = "") -> str:
    """A picture inside the page; its alternative and what it rests on are plain text."""
    data = base64.b64encode(png).decode()
    image = f'<img alt="{escape(alternative)}" src="data:image/png;base64,{data}">'
    caption = f"<figcaption>{escape(rests_on)}</figcaption>" if rests_on else ""
    return f"<figure>{image}{caption}</figure>"


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Numbers that meet the eye first: (value, what it is), both plain text."""
    items = (f"<li><b>{escape(value)}</b><span>{escape(text)}</span></li>" for value, text in pairs)
    return f'<ul class="tiles">{"".join(items)}</ul>'


def table(header: Sequence[str], rows: Sequence[str]) -> str:
    """A table: plain header cells, rows as HTML."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and values, both plain text."""
    rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in pairs]
    return f'<table class="facts"><tbody>{"".join(rows)}</tbody></table>'


def folded(title: str, body: str) -> str:
    """A part that opens on a click; the title is plain text, the body HTML."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def grouped(count: int) -> str:
    """A count with its thousands apart, by narrow spaces that don't break."""
    return f"{count:,}".replace(",", "\u202f")


def counted(count: int, noun: str) -> str:
    """'1 hour', '3 hours'."""
    return f"{grouped(count)} {noun}{'' if count == 1 else 's'}"
