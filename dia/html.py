"""Pieces of the static pages that this project writes: no script, no network, everything inside one file."""

import base64
import html

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } small { opacity: .7; } code { background: var(--soft); padding: .1rem .3rem; border-radius: 4px; }
img { max-width: 100%; border-radius: 6px; } audio { width: 100%; min-width: 12rem; height: 2rem; }
.clip { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; margin: 1rem 0; }
.systems { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
.tag { background: #fe96; padding: 0 .2rem; }
.turns { margin: .3rem 0; } .turns td { border: 0; padding: .15rem 1rem .15rem 0; }
.turns td:first-child { width: 6.5rem; white-space: nowrap; opacity: .7; }
.turns td:last-child { width: 24rem; font-size: small; }
"""


def document(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{body}</html>\n"
    )


def html_table(titles: list[str], rows: list[list[str]]) -> str:
    """Return a table of plain texts."""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def player(flac: bytes) -> str:
    """Return a player of a FLAC file that is part of the page."""
    return f'<audio controls preload="none" src="data:audio/flac;base64,{base64.b64encode(flac).decode()}"></audio>'
