"""Pieces of the static pages that this project writes: no script, no network, everything inside one file."""

import base64
import html

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "audio{width:20rem}small{color:#555}.tag{background:#fe9;padding:0 .2rem}"
)


def document(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{body}</html>\n"
    )


def html_table(titles: list[str], rows: list[list[str]]) -> str:
    """Return a table of plain texts."""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def player(flac: bytes) -> str:
    """Return a player of a FLAC file that is part of the page."""
    return f'<audio controls preload="none" src="data:audio/flac;base64,{base64.b64encode(flac).decode()}"></audio>'
