"""Check the ``settings`` of a declaration against the SDK's method that receives them."""

import inspect
from collections.abc import Callable, Collection
from typing import Any

from dia.errors import UserError
from dia.systems.declaration import SystemDeclaration

NOT_SETTINGS = ("self", "request_options")  # parameters of a method that are no fields of a request


def require_settings(
    declaration: SystemDeclaration,
    reserved: Collection[str],
    method: Callable[..., Any] | None = None,
    own: Collection[str] = (),
) -> None:
    """Raise :class:`UserError` for settings that no request can carry, before any request is sent.

    ``reserved`` are the fields that the client fills in from the script and from other keys, ``own`` are
    settings of the client itself. ``method`` is the SDK's method, which has a parameter for every field;
    without it, any other field is passed on.
    """
    parameters = inspect.signature(method).parameters if method else {}
    known = {*parameters, *own}.difference(NOT_SETTINGS, reserved) if method else None
    problems = []
    for key in declaration.settings:
        if key in reserved:
            problems.append(f"settings.{key} is filled in from the script and the other keys; remove it")
        elif known is not None and key not in known:
            listed = ", ".join(sorted(known))
            problems.append(f"unknown key settings.{key}; {declaration.client} accepts {listed}")
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise UserError(f"system {declaration.name} (client: {declaration.client}):\n{listed}")
