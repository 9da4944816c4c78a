"""The bodies of requests: OpenAI's fields of the speech endpoint, and Dia's beside them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RANDOM_SEED = -1  # of Dia-TTS-Server (devnen): draws a seed, as null does
Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class SpeechBody(BaseModel):
    """The body of `POST /v1/audio/speech`. Unknown fields are refused, so that none is ignored silently."""

    model_config = ConfigDict(extra="forbid")

    input: Annotated[str, Field(min_length=1, description="A script; words without [S1] are spoken by [S1].")]
    model: Annotated[str, Field(description="Any name: the server has one model.")] = ""
    voice: Annotated[str, Field(description="A name of /v1/audio/voices, or `default`.")] = "default"
    instructions: Annotated[
        str, Field(description="Without effect: Dia follows tags such as (laughs) in the text.")
    ] = ""
    response_format: Format = "mp3"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"

    seed: Annotated[int | None, Field(ge=RANDOM_SEED, lt=2**63, description="-1 and null draw one.")] = None
    cfg_scale: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    cfg_filter_top_k: Annotated[int | None, Field(ge=1)] = None
    retries: Annotated[int, Field(ge=0, le=5, description="Failed takes are generated again.")] = 0
    lint: Literal["off", "warn", "error"] = "warn"


class LintBody(BaseModel):
    """The body of `POST /v1/audio/lint`."""

    model_config = ConfigDict(extra="forbid")

    input: str
    voice: Annotated[str, Field(description="The voice that is to speak the text.")] = "default"
