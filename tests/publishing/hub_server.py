"""A local server that speaks the Hub's API as far as `huggingface_hub` needs it to upload a folder.

Files of a commit arrive inside its request or, when the server asks for it, by Git LFS (API of git-lfs,
`docs/api/batch.md`).
"""

import base64
import hashlib
import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

TOKEN = "hf_local"
LFS_ENDINGS = (".safetensors", ".parquet", ".flac")


@dataclass
class Hub:
    """Repositories by type and name: their visibility and files."""

    address: str = ""
    visibility: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


def create_hub_app(hub):
    app = FastAPI()

    @app.middleware("http")
    async def require_token(request: Request, following):
        if request.url.path.startswith("/blobs/"):  # the address of an LFS upload carries its own permission
            return await following(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "Invalid username or password."}, 401)
        return await following(request)

    @app.post("/api/repos/create")
    async def create(request: Request):
        body = await request.json()
        name = f"{body.get('type', 'model')}s/{body['organization']}/{body['name']}"
        hub.files.setdefault(name, {})
        hub.visibility.setdefault(name, body.get("visibility", "public"))
        return {"url": f"{hub.address}/{body['organization']}/{body['name']}"}

    @app.post("/api/validate-yaml")
    async def validate(request: Request):
        assert (await request.json())["content"].startswith("---\n")
        return {"errors": [], "warnings": []}

    @app.post("/api/{kind}/{owner}/{name}/preupload/{revision}")
    async def preupload(request: Request):
        files = (await request.json())["files"]
        modes = {file["path"]: "lfs" if file["path"].endswith(LFS_ENDINGS) else "regular" for file in files}
        return {
            "files": [
                {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None}
                for path, mode in modes.items()
            ]
        }

    @app.post("/{repository:path}.git/info/lfs/objects/batch")
    async def batch(request: Request):
        objects = (await request.json())["objects"]
        return {
            "transfer": "basic",
            "objects": [
                {**item, "actions": {"upload": {"href": f"{hub.address}/blobs/{item['oid']}"}}}
                for item in objects
            ],
        }

    @app.put("/blobs/{oid}")
    async def blob(oid: str, request: Request):
        content = await request.body()
        assert hashlib.sha256(content).hexdigest() == oid
        hub.blobs[oid] = content
        return {}

    @app.post("/api/{kind}/{owner}/{name}/commit/{revision}")
    async def commit(kind: str, owner: str, name: str, request: Request):
        files = hub.files[f"{kind}/{owner}/{name}"]
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.blobs[value["oid"]]
        oid = hashlib.sha1(json.dumps(sorted(files)).encode()).hexdigest()
        address = f"{hub.address}/{owner}/{name}/commit/{oid}"
        return {"success": True, "commitOid": oid, "commitUrl": address, "hookOutput": ""}

    return app


@contextmanager
def running_hub():
    """Yield a running, empty hub."""
    hub = Hub()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hub.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(create_hub_app(hub), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
            assert thread.is_alive()
        yield hub
        server.should_exit = True
        thread.join()
