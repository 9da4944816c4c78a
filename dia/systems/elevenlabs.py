"""ElevenLabs through its own SDK (elevenlabs 2.78): a whole dialogue in one request, or each turn in one of
its own.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.parse_error import ParsingError
from elevenlabs.core.request_options import RequestOptions

from dia.systems.clients import key_of
from dia.systems.declaration import Declaration
from dia.systems.http import Wire
from dia.systems.protocol import Answer, Call
from dia.systems.script_rendering import Line

ONCE = RequestOptions(max_retries=0)  # tries are counted and logged by the recorder
NEAR = 100  # characters of the neighbouring turns that condition the prosody


class _Client:
    """The SDK's client, made when it is first needed, as that takes the key."""

    package = "elevenlabs"

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.wire = Wire(declaration, (ApiError, ParsingError, httpx.RequestError))

    @cached_property
    def sdk(self) -> ElevenLabs:
        """The client of the SDK."""
        return ElevenLabs(
            base_url=self.declaration.base_url or None,
            api_key=key_of(self.declaration),
            httpx_client=httpx.Client(**self.wire.options),
        )


class Dialogue:
    """Text to dialogue: all turns in one request (`POST /v1/text-to-dialogue`)."""

    package = "elevenlabs"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is asked before :meth:`ask`."""
        self.declaration, self.client = declaration, _Client(declaration)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One request with an input for every turn."""
        inputs = [{"text": line.text, "voice_id": self.declaration.voices[line.voice]} for line in lines]
        body = {"inputs": inputs, **_common(self.declaration, take)}
        return [Call(body, tuple(range(len(lines))), sum(len(line.text) for line in lines))]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.client.sdk

    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        convert = self.client.sdk.text_to_dialogue.convert
        return self.client.wire.ask(lambda: b"".join(convert(**call.body, request_options=ONCE)))


class Speech:
    """Text to speech: a request a turn (`POST /v1/text-to-speech/VOICE`), with its neighbours as context."""

    package = "elevenlabs"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is asked before :meth:`ask`."""
        self.declaration, self.client = declaration, _Client(declaration)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One request a turn."""
        return [self._call(lines, place, take) for place in range(len(lines))]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.client.sdk

    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        convert = self.client.sdk.text_to_speech.convert
        return self.client.wire.ask(lambda: b"".join(convert(**call.body, request_options=ONCE)))

    def _call(self, lines: Sequence[Line], place: int, take: int) -> Call:
        line, body = lines[place], _common(self.declaration, take)
        body |= {"text": line.text, "voice_id": self.declaration.voices[line.voice]}
        if place > 0:
            body["previous_text"] = lines[place - 1].text[-NEAR:]
        if place + 1 < len(lines):
            body["next_text"] = lines[place + 1].text[:NEAR]
        return Call(body, (place,), len(line.text))


def _common(declaration: Declaration, take: int) -> dict[str, Any]:
    return {
        "model_id": declaration.model,
        "output_format": declaration.format,
        "seed": take,
        **declaration.settings,
    }
