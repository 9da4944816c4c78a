"""Static HTML pages from jinja2 templates: one file each, without network access.

Templates are `dia/resources/templates/*.html.j2`. Every page extends `page.html.j2` (title, viewport, styles,
scripts) and imports macros from `macros.html.j2`. All values are escaped unless they are
:class:`markupsafe.Markup`, and the content security policy of a page allows its own styles and scripts, by
their hashes, and nothing else: what an escape might miss still does not run.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dia.resources import resource

STYLE = "page.css"  # of every page


def render_page(
    template: str, *, styles: Sequence[str] = (), script: str = "", media: str = "data:", **values: Any
) -> str:
    """Return the page that ``template`` (a file name, `preview.html.j2`) makes of ``values``.

    ``styles`` and ``script`` name further files of the folder of templates; ``media`` are the sources of
    audio that the page may play. Raises :class:`jinja2.UndefinedError` for a value that the template uses and
    that is not given.
    """
    style = "".join(_read(name) for name in (STYLE, *styles))
    code = _read(script) if script else ""
    page = (
        _environment()
        .get_template(template)
        .render(
            policy=Markup(_policy(style, code, media)), style=Markup(style), script=Markup(code), **values
        )
    )
    return page + "\n"


def _policy(style: str, code: str, media: str) -> str:
    """Return the content security policy of a page."""
    script = f"script-src {_source_hash(code)}; " if code else ""
    return (
        f"default-src 'none'; {script}style-src {_source_hash(style)}; img-src data:; media-src {media}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return resource(f"templates/{name}").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        keep_trailing_newline=False,
        loader=FileSystemLoader(resource("templates")),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["flac_url"] = flac_url
    return environment


def flac_url(flac: bytes) -> str:
    """Return a FLAC file as a data URL, so that the page needs no second file."""
    return f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"
