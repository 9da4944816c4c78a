"""OpenAI's Speech API and compatible servers (EmotiVoice) through OpenAI's SDK (openai 3.57)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx2
from openai import APIError, OpenAI

from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn

NO_KEY = "none"  # the SDK requires a key, a self-hosted server does not
STYLE = "style_field"  # setting with the name of the style's field: `instructions`, or EmotiVoice's `prompt`
NAMED = (
    "model",
    "voice",
    "input",
    "response_format",
)  # the SDK's arguments; others go into `extra_body`


class OpenAISpeech:
    """`POST /audio/speech` for each turn; the service has no seeds."""

    package = "openai"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Connects in :meth:`send`."""
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
        """Send one request. Raises :class:`RequestFailed` when no audio arrives."""
        named = {key: request.body[key] for key in NAMED}
        extra = {key: value for key, value in request.body.items() if key not in named}
        return self.recorder.send(lambda: self.sdk.audio.speech.create(**named, extra_body=extra).content)

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
