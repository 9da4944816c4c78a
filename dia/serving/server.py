"""What the endpoints of a server share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from dia.config.serve import ServeConfig
from dia.model import Dia
from dia.serving.metrics import Metrics
from dia.serving.recognition import SpeechRecognition
from dia.serving.service import SpeechService
from dia.serving.voices import VoiceFolder
from dia.serving.worker import SpeechWorker


@dataclass(frozen=True)
class Server:
    """The opened model and what serves it."""

    dia: Dia
    config: ServeConfig
    worker: SpeechWorker
    service: SpeechService
    voices: VoiceFolder
    recognition: SpeechRecognition
    metrics: Metrics


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


ServerOf = Annotated[Server, Depends(_server)]  # the type of an endpoint's parameter
