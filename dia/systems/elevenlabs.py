"""ElevenLabs through its SDK (elevenlabs 2.78): one request for a whole dialogue, or one for each turn."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.parse_error import ParsingError
from elevenlabs.core.request_options import RequestOptions

from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn

SINGLE_ATTEMPT = RequestOptions(max_retries=0)  # `RequestSender` retries and logs each attempt
CONTEXT_CHARACTERS = 100  # of the neighbouring turns, which condition the prosody


class _SdkClient:
    """The SDK's client, created on first use because that requires the API key."""

    def __init__(self, declaration: SystemDeclaration) -> None:
        self.declaration = declaration
        self.recorder = HttpRecorder(declaration, (ApiError, ParsingError, httpx.RequestError))

    @cached_property
    def sdk(self) -> ElevenLabs:
        """The client of the SDK."""
        return ElevenLabs(
            base_url=self.declaration.base_url or None,
            api_key=read_api_key(self.declaration),
            httpx_client=httpx.Client(**self.recorder.client_options),
        )


class ElevenLabsDialogue:
    """Text to dialogue: all turns in one request (`POST /v1/text-to-dialogue`)."""

    package = "elevenlabs"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Connects in :meth:`send`."""
        self.declaration, self.client = declaration, _SdkClient(declaration)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request with an input for each turn."""
        inputs = [{"text": turn.text, "voice_id": self.declaration.voices[turn.voice]} for turn in turns]
        body = {"inputs": inputs, **_common_parameters(self.declaration, take)}
        return [SystemRequest(body, tuple(range(len(turns))), sum(len(turn.text) for turn in turns))]

    def open(self) -> None:
        """Read the API key."""
        _ = self.client.sdk

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request. Raises :class:`RequestFailed` when no audio arrives."""
        convert = self.client.sdk.text_to_dialogue.convert
        return self.client.recorder.send(
            lambda: b"".join(convert(**request.body, request_options=SINGLE_ATTEMPT))
        )


class ElevenLabsSpeech:
    """Text to speech: a request a turn (`POST /v1/text-to-speech/VOICE`), with its neighbours as context."""

    package = "elevenlabs"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Connects in :meth:`send`."""
        self.declaration, self.client = declaration, _SdkClient(declaration)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request for each turn."""
        return [self._request(turns, index, take) for index in range(len(turns))]

    def open(self) -> None:
        """Read the API key."""
        _ = self.client.sdk

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request. Raises :class:`RequestFailed` when no audio arrives."""
        convert = self.client.sdk.text_to_speech.convert
        return self.client.recorder.send(
            lambda: b"".join(convert(**request.body, request_options=SINGLE_ATTEMPT))
        )

    def _request(self, turns: Sequence[RenderedTurn], index: int, take: int) -> SystemRequest:
        turn, body = turns[index], _common_parameters(self.declaration, take)
        body |= {"text": turn.text, "voice_id": self.declaration.voices[turn.voice]}
        if index > 0:
            body["previous_text"] = turns[index - 1].text[-CONTEXT_CHARACTERS:]
        if index + 1 < len(turns):
            body["next_text"] = turns[index + 1].text[:CONTEXT_CHARACTERS]
        return SystemRequest(body, (index,), len(turn.text))


def _common_parameters(declaration: SystemDeclaration, take: int) -> dict[str, Any]:
    return {
        "model_id": declaration.model,
        "output_format": declaration.format,
        "seed": take,
        **declaration.settings,
    }
