"""ElevenLabs through its SDK (elevenlabs 2.78): one request for a whole dialogue, or one for each turn."""

import base64
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import httpx
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.parse_error import ParsingError
from elevenlabs.core.request_options import RequestOptions
from elevenlabs.text_to_dialogue.client import TextToDialogueClient
from elevenlabs.text_to_speech.client import TextToSpeechClient

from dia.systems.clients import read_api_key
from dia.systems.declaration import SystemDeclaration
from dia.systems.http_recorder import HttpRecorder
from dia.systems.protocol import SystemRequest, SystemResponse, TurnTimes
from dia.systems.script_rendering import RenderedTurn
from dia.systems.sdk_settings import require_settings

SINGLE_ATTEMPT = RequestOptions(max_retries=0)  # `RequestSender` retries and logs each attempt
CONTEXT_CHARACTERS = 100  # of the neighbouring turns, which condition the prosody
RESERVED = ("model_id", "output_format", "seed")  # fields that other keys and the take determine
TIMES = "with_timestamps"  # setting of the client: the endpoint that also states the times of the turns
TURN = ("text", "voice_id", "previous_text", "next_text")  # fields that the turn determines


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
    """Text to dialogue: all turns in one request (`POST /v1/text-to-dialogue`).

    ``settings.with_timestamps: true`` also receives the times of the turns
    (`POST /v1/text-to-dialogue/with-timestamps`).
    """

    package = "elevenlabs"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Raises :class:`UserError` for unknown ``settings``. Connects in :meth:`send`."""
        require_settings(declaration, (*RESERVED, "inputs"), TextToDialogueClient.convert, (TIMES,))
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
        body = dict(request.body)
        if body.pop(TIMES, False):
            return self._send_for_times(body, len(request.turns))
        convert = self.client.sdk.text_to_dialogue.convert
        return self.client.recorder.send(lambda: b"".join(convert(**body, request_options=SINGLE_ATTEMPT)))

    def _send_for_times(self, body: dict[str, Any], turns: int) -> SystemResponse:
        times: TurnTimes | None = None

        def receive() -> bytes:
            nonlocal times
            try:
                answer = self.client.sdk.text_to_dialogue.convert_with_timestamps(
                    **body, request_options=SINGLE_ATTEMPT
                )
            except ApiError as error:
                if not 200 <= (error.status_code or 0) < 300:
                    raise
                return str(error.body).encode()  # a page instead of JSON, which is no audio
            times = _turn_times(answer, turns)
            return _decoded_audio(answer)

        response = self.client.recorder.send(receive)
        return replace(response, turn_times=times)


class ElevenLabsSpeech:
    """Text to speech: a request a turn (`POST /v1/text-to-speech/VOICE`), with its neighbours as context."""

    package = "elevenlabs"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Raises :class:`UserError` for unknown ``settings``. Connects in :meth:`send`."""
        require_settings(declaration, (*RESERVED, *TURN), TextToSpeechClient.convert)
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


def _decoded_audio(answer: Any) -> bytes:
    """Return the audio of a response with timestamps; the SDK does not validate its fields."""
    try:
        return base64.b64decode(answer.audio_base_64, validate=True)
    except (AttributeError, TypeError, ValueError):
        return b'{"detail": "no base64 audio in audio_base64"}'


def _turn_times(answer: Any, turns: int) -> TurnTimes | None:
    """Return the start and end in seconds of each turn, None unless every turn has valid segments."""
    try:
        segments = [
            (int(part.dialogue_input_index), float(part.start_time_seconds), float(part.end_time_seconds))
            for part in answer.voice_segments
        ]
    except (AttributeError, TypeError, ValueError):
        return None
    complete = {index for index, _, _ in segments} == set(range(turns))
    if not complete or not all(0 <= start <= end < math.inf for _, start, end in segments):
        return None
    return tuple(
        (
            min(start for index, start, _ in segments if index == turn),
            max(end for index, _, end in segments if index == turn),
        )
        for turn in range(turns)
    )
