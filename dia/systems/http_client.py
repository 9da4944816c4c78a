"""A client for any JSON-over-HTTP text-to-speech service, described by its YAML declaration alone.

The declaration's ``settings`` describe the request::

    settings:
      endpoint: /v1/speech/{voice}     # appended to base_url
      request_per: turn                # `turn`, or `script` for one request with all turns
      key_header: Authorization        # header of the API key, and what precedes the key
      key_prefix: "Bearer "
      headers: {}                      # further constant headers; never a key
      body: {text: "{text}", voice: "{voice}", model: "{model}", seed: "{seed}", style: "{style}"}
      turn: {}                         # of a script: one element of the list "{turns}"
      audio_field: ""                  # base64 audio in a JSON response (`data.audio`); empty: the body

A value that is exactly one placeholder takes the placeholder's type (``seed`` stays an integer); an empty
``{style}`` removes its key. ``{text}`` of a whole script is ``[S1] ... [S2] ...``.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import httpx

from dia.documents import parse_json
from dia.errors import UserError, one_line
from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import RequestFailed, SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn

DEFAULTS: dict[str, Any] = {
    "endpoint": "",
    "request_per": "turn",
    "key_header": "Authorization",
    "key_prefix": "Bearer ",
    "headers": {},
    "body": {},
    "turn": {},
    "audio_field": "",
}
ENDPOINT = "endpoint"  # key of a request's body, removed before it is sent
PLACEHOLDER = re.compile(r"\{(\w+)\}")
OMIT = object()


class HttpSystem:
    """Send JSON requests by httpx, one for each turn or one for the whole script."""

    package = "httpx"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Raises :class:`UserError` that lists every problem of ``settings``. Connects in :meth:`send`."""
        self.declaration = declaration
        self.settings = {**DEFAULTS, **declaration.settings}
        if problems := _settings_problems(declaration):
            listed = "\n".join(f"  - {problem}" for problem in problems)
            raise UserError(f"system {declaration.name} (client: http):\n{listed}")
        self.recorder = HttpRecorder(declaration, (httpx.HTTPError,))

    @cached_property
    def client(self) -> httpx.Client:
        """The httpx client, with the API key in its headers."""
        key, headers = read_api_key(self.declaration), dict(self.settings["headers"])
        if key:
            headers[self.settings["key_header"]] = f"{self.settings['key_prefix']}{key}"
        return httpx.Client(
            base_url=self.declaration.base_url, headers=headers, **self.recorder.client_options
        )

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request for each turn, or one for the script, as ``settings.request_per`` states."""
        if self.settings["request_per"] == "script":
            values = self._values(turns, take)
            listed = [fill_template(self.settings["turn"], self._values([turn], take)) for turn in turns]
            body = fill_template(self.settings["body"], {**values, "turns": listed})
            characters = sum(len(turn.text) for turn in turns)
            return [SystemRequest(self._with_endpoint(body, values), tuple(range(len(turns))), characters)]
        requests = []
        for index, turn in enumerate(turns):
            values = self._values([turn], take)
            body = self._with_endpoint(fill_template(self.settings["body"], values), values)
            requests.append(SystemRequest(body, (index,), len(turn.text)))
        return requests

    def open(self) -> None:
        """Read the API key."""
        _ = self.client

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request. Raises :class:`RequestFailed` when no audio arrives."""
        body = {key: value for key, value in request.body.items() if key != ENDPOINT}
        response = self.recorder.send(lambda: self.client.post(request.body[ENDPOINT], json=body).content)
        if not self.settings["audio_field"]:
            return response
        return replace(response, audio=self._decode_field(response))

    def _values(self, turns: Sequence[RenderedTurn], take: int) -> dict[str, Any]:
        single = len(turns) == 1
        voice = self.declaration.voices.get(turns[0].voice, "") if turns else ""
        text = turns[0].text if single else " ".join(f"[{turn.voice}] {turn.text}" for turn in turns)
        return {
            "text": text,
            "voice": voice,
            "speaker": turns[0].voice if turns else "",
            "model": self.declaration.model,
            "format": self.declaration.format,
            "seed": take,
            "style": turns[0].style if single else "",
        }

    def _with_endpoint(self, body: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        return {**body, ENDPOINT: str(fill_template(self.settings["endpoint"], values))}

    def _decode_field(self, response: SystemResponse) -> bytes:
        try:
            value = parse_json(response.audio)
            for name in self.settings["audio_field"].split("."):
                value = value[int(name)] if isinstance(value, list) else value[name]
            return base64.b64decode(value, validate=True)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            message = f"no base64 audio in {self.settings['audio_field']} of the response ({one_line(error)})"
            raise RequestFailed("not_audio", message, response.status, request=response.request) from error


def fill_template(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a template (nested dicts, lists, texts) with its ``{placeholders}`` replaced by ``values``."""
    if isinstance(template, dict):
        filled = {key: fill_template(value, values) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not OMIT}
    if isinstance(template, list):
        return [value for item in template if (value := fill_template(item, values)) is not OMIT]
    if not isinstance(template, str):
        return template
    if (whole := PLACEHOLDER.fullmatch(template)) and whole[1] in values:
        return OMIT if whole[1] == "style" and not values["style"] else values[whole[1]]
    return PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), template)


def _settings_problems(declaration: SystemDeclaration) -> list[str]:
    settings = declaration.settings
    problems = [
        f"unknown key settings.{key}; the known keys are {', '.join(DEFAULTS)}"
        for key in settings
        if key not in DEFAULTS
    ]
    problems += [
        f"settings.{key} must be a {type(DEFAULTS[key]).__name__}"
        for key, value in settings.items()
        if key in DEFAULTS and not isinstance(value, type(DEFAULTS[key]))
    ]
    if not declaration.base_url:
        problems.append("base_url is missing; give the address of the service")
    if settings.get("request_per", "turn") not in ("turn", "script"):
        problems.append(f"settings.request_per={settings['request_per']!r} must be turn or script")
    if not settings.get("body"):
        problems.append('settings.body is missing; give at least {text: "{text}"}')
    elif isinstance(settings["body"], dict) and ENDPOINT in settings["body"]:
        problems.append(f"settings.body must not have the key {ENDPOINT}")
    return problems
