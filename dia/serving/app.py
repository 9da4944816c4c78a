"""The HTTP application: the endpoints of a server and its limits."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Request

import dia as package
from dia.config.serve import ServeConfig
from dia.model import Dia
from dia.serving import page, recognition_endpoints, speech_endpoints, status_endpoints, voice_endpoints
from dia.serving.errors import add_error_handlers
from dia.serving.limits import BodyLimits, SameOrigin, has_key
from dia.serving.metrics import Metrics
from dia.serving.recognition import SpeechRecognition
from dia.serving.server import Server
from dia.serving.service import SpeechService
from dia.serving.voices import VoiceFolder
from dia.serving.worker import SpeechWorker

JSON_ROOM = 4  # a byte of text may need this many in JSON, and the other fields need little


def create_app(dia: Dia, config: ServeConfig, recognition: SpeechRecognition | None = None) -> FastAPI:
    """Return the application of an opened model; its worker starts and ends with it.

    ``recognition`` None is that of Whisper.
    """
    worker = SpeechWorker(dia.network, dia.codec, config.capacity, config.waiting, config.compile)
    server = Server(
        dia,
        config,
        worker,
        SpeechService(dia, worker),
        VoiceFolder(Path(config.voices)),
        recognition or SpeechRecognition(),
        Metrics(worker),
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
    app.add_middleware(SameOrigin)
    for module in (speech_endpoints, voice_endpoints, recognition_endpoints, status_endpoints, page):
        app.include_router(module.router)
    add_error_handlers(app)
    return app


def _require_key(request: Request) -> None:
    """Raise 401 for a request to the API without the key, where there is one."""
    key: str = request.app.state.key
    if key and request.url.path.startswith("/v1/") and not has_key(request.headers, key):
        raise HTTPException(401, "the API key is missing or wrong; send `Authorization: Bearer KEY`")
