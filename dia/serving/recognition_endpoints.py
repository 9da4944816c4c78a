"""Endpoints of speech recognition: OpenAI's transcriptions, and the alignment of a script with its take."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from dia.judges.recording import ENGLISH, Times
from dia.serving.server import ServerOf
from dia.serving.service import as_script

router = APIRouter()


@router.post("/v1/audio/transcriptions", response_model=None)
async def transcriptions(
    server: ServerOf,
    file: Annotated[UploadFile, File()],
    model: Annotated[str, Form(description="Any name: the server has one recogniser.")] = "",
    language: Annotated[str, Form()] = ENGLISH,
    response_format: Annotated[Literal["json", "text"], Form()] = "json",
) -> Response | dict[str, str]:
    """Return the words of a recording."""
    text = await run_in_threadpool(server.recognition.transcribe, await file.read(), language)
    return {"text": text} if response_format == "json" else PlainTextResponse(f"{text}\n")


@router.post("/v1/audio/alignment")
async def alignment(
    server: ServerOf, file: Annotated[UploadFile, File()], script: Annotated[str, Form()]
) -> dict[str, Any]:
    """Return when the turns and words of a script are spoken in a recording; null where unrecognised."""
    aligned = await run_in_threadpool(server.recognition.align, await file.read(), as_script(script))
    return {
        "words": [
            {"text": word.text, "speaker": aligned.speakers[word.turn], **_times(word.times)}
            for word in aligned.words
        ],
        "turns": [
            {"speaker": speaker, **_times(times)}
            for speaker, times in zip(aligned.speakers, aligned.turns, strict=True)
            if times is not None
        ],
    }


def _times(times: Times | None) -> dict[str, float | None]:
    start, end = times or (None, None)
    return {"start": start, "end": end}
