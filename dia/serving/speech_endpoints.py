"""OpenAI's speech endpoint, and the judgement of a text before it is spoken."""

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from dia.errors import UserError
from dia.inference.generation import with_overrides
from dia.inference.speech import OVERRIDES
from dia.serving.encoding import FORMATS, open_encoder
from dia.serving.schema import RANDOM_SEED, LintBody, SpeechBody
from dia.serving.server import Server, ServerOf
from dia.serving.service import SpeechOrder, as_script
from dia.serving.voices import SPEAKERS
from dia.types import Waveform

router = APIRouter()


@router.post("/v1/audio/speech", response_class=Response)
async def speech(body: SpeechBody, server: ServerOf) -> Response:
    """Speak a text, streamed while it is generated."""
    _require_short(body.input, server)
    sampling = with_overrides(server.dia.default_sampling, {name: getattr(body, name) for name in OVERRIDES})
    order = SpeechOrder(
        as_script(body.input, SPEAKERS.get(body.voice, 1)),
        await run_in_threadpool(server.voices.open, body.voice),
        sampling,
        None if body.seed == RANDOM_SEED else body.seed,
        body.speed,
        body.retries,
        body.lint,
        server.config.deadline,
    )
    audio = server.service.speak(order)
    try:
        first = await anext(audio, None)  # errors are answered before the response begins
    except BaseException:
        await audio.aclose()
        raise
    encoded = _encoded(first, audio, body.response_format, server.dia.codec.sample_rate)
    if body.stream_format == "sse":
        return StreamingResponse(_as_events(encoded), media_type="text/event-stream")
    return StreamingResponse(encoded, media_type=FORMATS[body.response_format].media_type)


def _require_short(text: str, server: Server) -> None:
    if len(text.encode(errors="replace")) > server.config.max_text:
        raise UserError(f"the text is longer than {server.config.max_text} bytes; send it in parts")


async def _encoded(
    first: Waveform | None, following: AsyncGenerator[Waveform, None], name: str, sample_rate: int
) -> AsyncIterator[bytes]:
    """Yield the bytes of audio in a format; stop the generation when the client goes away."""
    encoder = open_encoder(name, sample_rate)
    try:
        if first is not None:
            yield encoder.encode(first)
            async for waveform in following:
                if data := encoder.encode(waveform):
                    yield data
        if data := encoder.finish():
            yield data
    finally:
        await following.aclose()


async def _as_events(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield audio as server-sent events of OpenAI's names."""
    async for part in parts:
        yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


@router.post("/v1/audio/lint")
async def lint(body: LintBody, server: ServerOf) -> dict[str, Any]:
    """Judge a text without speaking it: errors, warnings, estimated seconds, number of pieces."""
    _require_short(body.input, server)
    voice = await run_in_threadpool(server.voices.open, body.voice)
    review = await run_in_threadpool(server.service.review, as_script(body.input), voice)
    return {
        "text": review.text,
        "errors": list(review.errors),
        "warnings": list(review.warnings),
        "seconds": round(review.seconds, 2),
        "pieces": review.pieces,
    }
