"""Hume's Octave through its own SDK (hume 0.14): all turns as utterances of one request (`POST
/v0/tts/file`).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
from hume import HumeClient
from hume.core.api_error import ApiError
from hume.core.request_options import RequestOptions
from hume.tts.types import PostedUtterance
from pydantic import ValidationError

from dia.systems.clients import key_of
from dia.systems.declaration import Declaration
from dia.systems.http import Wire
from dia.systems.protocol import Answer, Call
from dia.systems.script_rendering import Line

ONCE = RequestOptions(max_retries=0)  # tries are counted and logged by the recorder


class Octave:
    """Text to speech with acting directions (``description``); there are no seeds."""

    package = "hume"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is asked before :meth:`ask`."""
        self.declaration = declaration
        self.wire = Wire(declaration, (ApiError, ValidationError, httpx.RequestError))

    @cached_property
    def sdk(self) -> HumeClient:
        """The client of the SDK."""
        return HumeClient(
            base_url=self.declaration.base_url or None,
            api_key=key_of(self.declaration),
            httpx_client=httpx.Client(**self.wire.options),
        )

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One request with an utterance for every turn."""
        body = {
            "utterances": [self._utterance(line) for line in lines],
            "version": self.declaration.model,
            "format": {"type": self.declaration.format.partition("_")[0]},
            "num_generations": 1,
            **self.declaration.settings,
        }
        return [Call(body, tuple(range(len(lines))), sum(len(line.text) for line in lines))]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.sdk

    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        body = {
            **call.body,
            "utterances": [PostedUtterance(**utterance) for utterance in call.body["utterances"]],
        }
        return self.wire.ask(lambda: b"".join(self.sdk.tts.synthesize_file(**body, request_options=ONCE)))

    def _utterance(self, line: Line) -> dict[str, Any]:
        utterance = {"text": line.text, "voice": self.declaration.voices[line.voice]}
        return {**utterance, "description": line.style} if line.style else utterance
