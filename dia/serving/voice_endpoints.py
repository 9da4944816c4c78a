"""The voices of the server: their names, what they sound like, and new ones from recordings."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from dia.audio.files import flac_bytes
from dia.inference.decoding import decode_all
from dia.inference.voice import Voice
from dia.inference.voice_checks import transcript_warnings
from dia.serving.server import Server, ServerOf
from dia.serving.uploads import require_short
from dia.serving.voices import NO_VOICE

LONGEST_UPLOAD = (
    60  # seconds of a recording; that of a voice is shorter, which the voice's own message states
)
router = APIRouter()


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

    def make() -> Voice:
        require_short(content, LONGEST_UPLOAD)
        with tempfile.NamedTemporaryFile(suffix=Path(file.filename or "").suffix[:8]) as recording:
            recording.write(content)
            recording.flush()
            voice = server.dia.make_voice(recording.name, transcript)
        server.voices.save(name, voice, replace)
        return voice

    voice = await run_in_threadpool(make)
    return {"name": name, **_description(voice), "warnings": list(transcript_warnings(transcript))}


@router.get("/v1/audio/voices/{name}")
async def voice(name: str, server: ServerOf) -> dict[str, Any]:
    """Describe a voice."""
    return {"name": name, **_description(await run_in_threadpool(_open, server, name))}


@router.get("/v1/audio/voices/{name}/audio", response_class=Response)
async def voice_audio(name: str, server: ServerOf) -> Response:
    """Return the recording of a voice as FLAC, decoded from its codes."""

    def decode() -> bytes:
        codec = server.dia.codec
        (waveform,) = decode_all(codec, [server.dia.voice_codes(_open(server, name))])
        return flac_bytes(waveform, codec.sample_rate)

    return Response(await run_in_threadpool(decode), media_type="audio/flac")


def _open(server: Server, name: str) -> Voice:
    """Return a voice of the folder; raise 404 for another name."""
    if name not in server.voices.names():
        raise HTTPException(404, f"there is no recording of a voice {name[:64]!r}")
    voice = server.voices.open(name)
    assert voice is not None, "only `default` has no file"
    return voice


def _description(voice: Voice) -> dict[str, Any]:
    return {"transcript": voice.transcript, "seconds": voice.seconds}
