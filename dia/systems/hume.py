"""Hume's Octave through its SDK (hume 0.14): all turns as utterances of one request (`POST /v0/tts/file`)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
from hume import HumeClient
from hume.core.api_error import ApiError
from hume.core.request_options import RequestOptions
from hume.tts.client import TtsClient
from hume.tts.types import PostedUtterance
from pydantic import ValidationError

from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn
from dia.systems.sdk_settings import require_settings

SINGLE_ATTEMPT = RequestOptions(max_retries=0)  # `RequestSender` retries and logs each attempt
RESERVED = ("utterances", "version", "format", "num_generations")  # settings that other keys determine


class HumeOctave:
    """Text to speech with acting directions (``description``); the service has no seeds."""

    package = "hume"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Raises :class:`UserError` for unknown ``settings``. Connects in :meth:`send`."""
        require_settings(declaration, RESERVED, TtsClient.synthesize_file)
        self.declaration = declaration
        self.recorder = HttpRecorder(declaration, (ApiError, ValidationError, httpx.RequestError))

    @cached_property
    def sdk(self) -> HumeClient:
        """The client of the SDK."""
        return HumeClient(
            base_url=self.declaration.base_url or None,
            api_key=read_api_key(self.declaration),
            httpx_client=httpx.Client(**self.recorder.client_options),
        )

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request with an utterance for each turn."""
        body = {
            "utterances": [self._utterance(turn) for turn in turns],
            "version": self.declaration.model,
            "format": {"type": self.declaration.format.partition("_")[0]},
            "num_generations": 1,
            **self.declaration.settings,
        }
        return [SystemRequest(body, tuple(range(len(turns))), sum(len(turn.text) for turn in turns))]

    def open(self) -> None:
        """Read the API key."""
        _ = self.sdk

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request. Raises :class:`RequestFailed` when no audio arrives."""
        utterances = [PostedUtterance(**utterance) for utterance in request.body["utterances"]]
        body = {**request.body, "utterances": utterances}
        return self.recorder.send(
            lambda: b"".join(self.sdk.tts.synthesize_file(**body, request_options=SINGLE_ATTEMPT))
        )

    def _utterance(self, turn: RenderedTurn) -> dict[str, Any]:
        utterance = {"text": turn.text, "voice": self.declaration.voices[turn.voice]}
        return {**utterance, "description": turn.style} if turn.style else utterance
