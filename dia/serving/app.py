"""The HTTP application: OpenAI's speech endpoint, voices, health and metrics."""

import base64
import json
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

import dia as package
from dia.config.serve import ServeConfig
from dia.errors import UserError
from dia.inference.generation import with_overrides
from dia.inference.speech import OVERRIDES
from dia.model import Dia
from dia.serving.encoding import FORMATS, open_encoder
from dia.serving.errors import add_error_handlers
from dia.serving.limits import BodyLimits, has_key
from dia.serving.metrics import Metrics
from dia.serving.schema import SpeechBody
from dia.serving.service import SpeechOrder, SpeechService
from dia.serving.voices import NO_VOICE, VoiceFolder
from dia.serving.worker import SpeechWorker
from dia.types import Waveform

JSON_ROOM = 4  # a byte of text may need this many in JSON, and the other fields need little


@dataclass(frozen=True)
class Server:
    """What the endpoints share."""

    dia: Dia
    config: ServeConfig
    worker: SpeechWorker
    service: SpeechService
    voices: VoiceFolder
    metrics: Metrics


def create_app(dia: Dia, config: ServeConfig) -> FastAPI:
    """Return the application of an opened model; its worker starts and ends with it."""
    worker = SpeechWorker(dia.network, dia.codec, config.capacity, config.waiting, config.compile)
    server = Server(
        dia, config, worker, SpeechService(dia, worker), VoiceFolder(Path(config.voices)), Metrics(worker)
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.stop()

    app = FastAPI(
        title="Dia", version=package.__version__, lifespan=lifespan, dependencies=[Depends(_require_key)]
    )
    app.state.server = server
    app.state.key = os.environ.get(config.api_key_variable, "")
    largest = max(int(config.max_upload * 1e6), JSON_ROOM * config.max_text)
    app.add_middleware(BodyLimits, largest=largest)
    app.include_router(router)
    add_error_handlers(app)
    return app


router = APIRouter()


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


def _require_key(request: Request) -> None:
    """Raise 401 for a request to the API without the key, where there is one."""
    key: str = request.app.state.key
    if key and request.url.path.startswith("/v1/") and not has_key(request.headers, key):
        raise HTTPException(401, "the API key is missing or wrong; send `Authorization: Bearer KEY`")


ServerOf = Annotated[Server, Depends(_server)]


@router.post("/v1/audio/speech", response_class=Response)
async def speech(body: SpeechBody, server: ServerOf) -> Response:
    """Speak a text, streamed while it is generated."""
    if len(body.input.encode(errors="replace")) > server.config.max_text:
        raise UserError(f"the text is longer than {server.config.max_text} bytes; send it in parts")
    sampling = with_overrides(server.dia.default_sampling, {name: getattr(body, name) for name in OVERRIDES})
    order = SpeechOrder(
        body.input,
        await run_in_threadpool(server.voices.open, body.voice),
        sampling,
        body.seed,
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


@router.get("/v1/models")
async def models(server: ServerOf) -> dict[str, Any]:
    """List the model."""
    model = {"id": server.config.ckpt, "object": "model", "created": 0, "owned_by": "dia"}
    return {"object": "list", "data": [model]}


@router.get("/v1/models/{name:path}")
async def model(name: str, server: ServerOf) -> dict[str, Any]:
    """Describe the model."""
    if name != server.config.ckpt:
        raise HTTPException(404, f"there is no model {name[:64]!r}; the server has {server.config.ckpt!r}")
    return {"id": name, "object": "model", "created": 0, "owned_by": "dia"}


@router.get("/v1/audio/voices")
async def voices(server: ServerOf) -> dict[str, Any]:
    """List the names of the voices."""
    return {"voices": [NO_VOICE, *await run_in_threadpool(server.voices.names)]}


@router.post("/v1/audio/voices", status_code=201)
async def add_voice(
    server: ServerOf,
    name: Annotated[str, Form()],
    transcript: Annotated[str, Form()],
    file: Annotated[UploadFile, File()],
    replace: Annotated[bool, Form()] = False,
) -> dict[str, Any]:
    """Make a voice of a recording of 5 to 10 seconds and its transcript."""
    content = await file.read()

    def make() -> float:
        with tempfile.NamedTemporaryFile(suffix=Path(file.filename or "").suffix[:8]) as recording:
            recording.write(content)
            recording.flush()
            voice = server.dia.make_voice(recording.name, transcript)
        server.voices.save(name, voice, replace)
        return voice.seconds

    return {"name": name, "seconds": await run_in_threadpool(make)}


@router.get("/health")
async def health(server: ServerOf) -> dict[str, Any]:
    """Tell whether the server can speak."""
    if not server.worker.alive:
        raise HTTPException(503, "the worker has ended; the server must be started again")
    return {"status": "ok", "model": server.config.ckpt, "requests": server.worker.load()}


@router.get("/metrics", response_class=Response)
async def metrics(server: ServerOf) -> Response:
    """Return figures in the text format of Prometheus."""
    return Response(server.metrics.render(), media_type="text/plain; version=0.0.4")
