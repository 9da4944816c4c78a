"""Static HTML pages from jinja2 templates: one file each, without network access.

Templates are `dia/resources/templates/*.html.j2`. Every page extends `page.html.j2` (title, viewport, styles,
scripts) and imports macros from `macros.html.j2`. All values are escaped unless they are
:class:`markupsafe.Markup`, and the content security policy of a page allows its own styles and scripts, by
their hashes, and nothing else: what an escape might miss still does not run.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dia.resources import resource

STYLE = "page.css"  # of every page


def render_page(
    template: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    media: str = "data:",
    connect: str = "'none'",
    **values: Any,
) -> str:
    """Return the page that ``template`` (a file name, `preview.html.j2`) makes of ``values``.

    ``styles`` and ``scripts`` name further files of the folder of templates, which are joined; ``media`` are
    the sources of audio that the page may play, and ``connect`` those that its scripts may request. Raises
    :class:`jinja2.UndefinedError` for a value that the template uses and that is not given.
    """
    style = "".join(_read(name) for name in (STYLE, *styles))
    code = "".join(map(_read, scripts))
    policy = Markup(_policy(style, code, media, connect))
    page = _environment().get_template(template)
    return page.render(policy=policy, style=Markup(style), script=Markup(code), **values) + "\n"


def data_block(values: Any) -> Markup:
    """Return JSON that can stand in a script element of a page: no text in it can end the element."""
    return Markup(json.dumps(values).replace("<", "\\u003c"))


def _policy(style: str, code: str, media: str, connect: str) -> str:
    """Return the content security policy of a page."""
    script = f"script-src {_source_hash(code)}; " if code else ""
    return (
        f"default-src 'none'; {script}style-src {_source_hash(style)}; img-src data:; media-src {media}; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
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
