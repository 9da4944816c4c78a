"""The model's name, health and metrics."""

from typing import Any

from fastapi import APIRouter, HTTPException, Response

from dia.serving.server import ServerOf

router = APIRouter()


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
