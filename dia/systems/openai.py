"""OpenAI's Speech API through its own SDK (openai 3.57), and servers that speak the same (EmotiVoice): a
request a turn.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx2
from openai import APIError, OpenAI

from dia.systems.clients import key_of
from dia.systems.declaration import Declaration
from dia.systems.http import Wire
from dia.systems.protocol import Answer, Call
from dia.systems.script_rendering import Line

NO_KEY = "none"  # the SDK wants one; a server of one's own takes none
# which field of the body says how the turn is spoken: `instructions`, or EmotiVoice's `prompt`
STYLE = "style_field"


class Speech:
    """`POST /audio/speech` for every turn; there are no seeds."""

    package = "openai"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is asked before :meth:`ask`."""
        self.declaration = declaration
        self.wire = Wire(declaration, (APIError, httpx2.RequestError))

    @cached_property
    def sdk(self) -> OpenAI:
        """The client of the SDK."""
        return OpenAI(
            base_url=self.declaration.base_url,
            api_key=key_of(self.declaration) or NO_KEY,
            max_retries=0,  # tries are counted and logged by the recorder
            http_client=httpx2.Client(**self.wire.options),
        )

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One request a turn."""
        return [Call(self._body(line), (place,), len(line.text)) for place, line in enumerate(lines)]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.sdk

    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        named = {key: call.body[key] for key in ("model", "voice", "input", "response_format")}
        rest = {key: value for key, value in call.body.items() if key not in named}
        return self.wire.ask(lambda: self.sdk.audio.speech.create(**named, extra_body=rest).content)

    def _body(self, line: Line) -> dict[str, Any]:
        settings = dict(self.declaration.settings)
        field = settings.pop(STYLE, "instructions")
        body = {
            "model": self.declaration.model,
            "voice": self.declaration.voices[line.voice],
            "input": line.text,
            "response_format": self.declaration.format.partition("_")[0],
            **settings,
        }
        # what is asked of this turn goes before what is asked of all
        styles = [line.style, settings.get(field, "")]
        told = " ".join(style for style in styles if style)
        return {**body, field: told} if told else body
