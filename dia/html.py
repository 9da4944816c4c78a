"""Static HTML pages from jinja2 templates: one file each, without scripts and without network access.

Templates are `dia/resources/templates/*.html.j2`. A page extends `page.html.j2` (title, viewport, styles) and
imports the macros `table` and `player` from `macros.html.j2`. All values are escaped unless they are
:class:`markupsafe.Markup`.
"""

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dia.resources import resource


def render_page(template: str, **values: Any) -> str:
    """Return the page that ``template`` (a file name, `preview.html.j2`) makes of ``values``.

    Raises :class:`jinja2.UndefinedError` for a value that the template uses and that is not given.
    """
    return _environment().get_template(template).render(**values) + "\n"


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
    environment.filters["flac_url"] = _flac_url
    return environment


def _flac_url(flac: bytes) -> str:
    """Return a FLAC file as a data URL, so that the page needs no second file."""
    return f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"
