"""OpenAI's Speech API and compatible servers (EmotiVoice) through OpenAI's SDK (openai 3.57)."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import httpx2
from openai import APIError, OpenAI, Stream

from dia.errors import one_line
from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn
from dia.systems.sdk_settings import require_settings

NO_KEY = "none"  # the SDK requires a key, a self-hosted server does not
STYLE = "style_field"  # setting with the name of the style's field: `instructions`, or EmotiVoice's `prompt`
NAMED = (
    "model",
    "voice",
    "input",
    "response_format",
)  # the SDK's arguments; others go into `extra_body`
EVENTS = ("stream_format", "sse")  # the setting with which the service answers with events
DELTA, DONE = "speech.audio.delta", "speech.audio.done"


class OpenAISpeech:
    """`POST /audio/speech` for each turn; the service has no seeds."""

    package = "openai"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Raises :class:`UserError` for ``settings`` that other keys determine. Connects in :meth:`send`."""
        require_settings(declaration, NAMED)
        self.declaration = declaration
        self.recorder = HttpRecorder(declaration, (APIError, httpx2.RequestError))

    @cached_property
    def sdk(self) -> OpenAI:
        """The client of the SDK."""
        return OpenAI(
            base_url=self.declaration.base_url,
            api_key=read_api_key(self.declaration) or NO_KEY,
            max_retries=0,  # `RequestSender` retries and logs each attempt
            http_client=httpx2.Client(**self.recorder.client_options),
        )

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request for each turn."""
        return [SystemRequest(self._body(turn), (index,), len(turn.text)) for index, turn in enumerate(turns)]

    def open(self) -> None:
        """Read the API key."""
        _ = self.sdk

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request. Raises :class:`RequestFailed` when no audio arrives.

        With ``settings.stream_format: sse`` the audio arrives as events, and the last one states the tokens.
        """
        if request.body.get(EVENTS[0]) == EVENTS[1]:
            return self._send_for_events(request.body)
        named = {key: request.body[key] for key in NAMED}
        extra = {key: value for key, value in request.body.items() if key not in named}
        return self.recorder.send(lambda: self.sdk.audio.speech.create(**named, extra_body=extra).content)

    def _send_for_events(self, body: dict[str, Any]) -> SystemResponse:
        usage: dict[str, Any] = {}

        def receive() -> bytes:
            stream = self.sdk.post(
                "/audio/speech",
                body=body,
                options={"headers": {"Accept": "text/event-stream"}},
                cast_to=object,
                stream=True,
                stream_cls=Stream[object],
            )
            audio, last = _join_events(stream)
            usage.update(last)
            return audio

        response = self.recorder.send(receive)
        return replace(response, cost_units=usage.get("total_tokens", response.cost_units))

    def _body(self, turn: RenderedTurn) -> dict[str, Any]:
        settings = dict(self.declaration.settings)
        field = settings.pop(STYLE, "instructions")
        body = {
            "model": self.declaration.model,
            "voice": self.declaration.voices[turn.voice],
            "input": turn.text,
            "response_format": self.declaration.format.partition("_")[0],
            **settings,
        }
        # the turn's own style precedes the style of all turns
        style = " ".join(text for text in (turn.style, settings.get(field, "")) if text)
        return {**body, field: style} if style else body


def _join_events(stream: Stream[object]) -> tuple[bytes, dict[str, Any]]:
    """Return the audio of all events, and the usage that the last one states.

    A response of another type than events is returned as it is: some compatible servers ignore the setting.
    Raises ``APIError`` for a stream that is damaged or ends early.
    """
    if "text/event-stream" not in stream.response.headers.get("content-type", ""):
        return stream.response.read(), {}
    pieces: list[bytes] = []
    usage: dict[str, Any] | None = None
    problem = f"the stream of events ended without {DONE}"
    try:
        for event in stream:
            fields: dict[str, Any] = event if isinstance(event, dict) else {}
            if fields.get("type") == DELTA:
                pieces.append(base64.b64decode(fields["audio"], validate=True))
            elif fields.get("type") == DONE:
                usage = fields.get("usage") or {}
    except (KeyError, TypeError, ValueError) as error:
        usage, problem = None, f"an event cannot be read: {one_line(error)}"
    if usage is None:
        raise APIError(problem, stream.response.request, body=None)
    return b"".join(pieces), usage
