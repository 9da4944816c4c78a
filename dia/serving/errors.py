"""Errors as OpenAI's API answers them, so that its clients raise their own exceptions."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from dia.errors import StorageError, UserError
from dia.judges.unavailable import JudgeUnavailable
from dia.serving.job import DeadlineError, QueueFullError, WorkerEndedError

RETRY_AFTER = 5  # seconds
TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error of OpenAI's form."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return JSONResponse(body, status, dict(headers or {}))


def response_of(error: Exception) -> JSONResponse:
    """Return the response of an error of this package."""
    if isinstance(error, QueueFullError):
        return error_response(
            429,
            f"too many requests wait; try again in {RETRY_AFTER} seconds",
            {"Retry-After": str(RETRY_AFTER)},
        )
    if isinstance(error, WorkerEndedError):
        return error_response(503, "the server stops, or must be started again; try again later")
    if isinstance(error, DeadlineError):
        return error_response(504, "the request was not finished in time; send a shorter text")
    if isinstance(error, JudgeUnavailable):
        return error_response(501, str(error))
    if isinstance(error, StorageError):
        return error_response(507, str(error))
    if isinstance(error, UserError):
        return error_response(400, str(error))
    return error_response(500, "the server failed; its log has the reason")


def add_error_handlers(app: FastAPI) -> None:
    """Answer the errors of this package, of the framework and of bodies that do not fit."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        return response_of(error)

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return error_response(error.status_code, str(error.detail), error.headers)

    async def body(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        problems = [
            f"{'.'.join(map(str, item['loc'][1:])) or 'body'}: {item['msg']}" for item in error.errors()
        ]
        return error_response(400, "; ".join(problems))

    for kind in (QueueFullError, DeadlineError, WorkerEndedError, JudgeUnavailable, UserError, Exception):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, body)
