"""The vendors' OpenAPI documents, cut to the paths that the clients use, for a mock that validates requests.

`scripts/fetch_vendor_documents.sh` fetches the documents. Hume publishes none: its document is built from the
types of its SDK.
"""

import json
import subprocess
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version

OPENAI = ("openai/openai-openapi", "openapi.json")
ELEVENLABS = ("tryAGI/ElevenLabs", "src/libs/ElevenLabs/openapi.json")  # a daily copy of api.elevenlabs.io


@dataclass(frozen=True)
class Document:
    """An OpenAPI document with one path. ``source`` and ``version`` are logged."""

    source: str
    version: str
    path: str
    content: dict

    @property
    def operation(self):
        return self.content["paths"][self.path]["post"]

    @property
    def fields(self):
        """The schemas of the body's fields and of the query's parameters, by name."""
        body = self.resolve(self.operation["requestBody"]["content"]["application/json"]["schema"])
        query = {
            item["name"]: item["schema"]
            for item in self.operation.get("parameters", ())
            if item["in"] == "query"
        }
        return body["properties"] | query

    def resolve(self, schema):
        """Return what a schema refers to; a schema without a reference is returned as it is."""
        while "$ref" in schema:
            schema = _referred(self.content, schema["$ref"])
        return schema

    def choices(self, schema):
        """Return the values that a schema enumerates, in any of its alternatives."""
        schema = self.resolve(schema)
        inner = [value for part in schema.get("anyOf", ()) for value in self.choices(part)]
        return [*schema.get("enum", ()), *inner]


def read_document(folder, repository, file, path):
    """Return a fetched document, cut to one path.

    ``folder`` holds the checkouts of `scripts/fetch_vendor_documents.sh`.
    """
    content = json.loads((folder / repository / file).read_text())
    commit = subprocess.run(
        ["git", "-C", folder / repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    return Document(
        f"{repository}@{commit.stdout.strip()}",
        content["info"]["version"],
        path,
        cut_document(content, path),
    )


def cut_document(content, path):
    """Return a document with one path and the components that it refers to.

    Those of the request accept only the fields that they name, so that a misspelt field is a violation.
    """
    item = {"post": deepcopy(content["paths"][path]["post"])}
    _simplify_responses(item["post"].get("responses", {}))
    cut = {
        "openapi": content["openapi"],
        "info": {"title": content["info"]["title"], "version": content["info"]["version"]},
        "servers": [{"url": "/"}],
        "paths": {path: item},
        "components": {"securitySchemes": content.get("components", {}).get("securitySchemes", {})},
    }
    if "security" in content:
        cut["security"] = content["security"]
    _copy_components(content, cut, item)
    request = item["post"]["requestBody"]
    for schema in (request, *(_referred(cut, name) for name in _references(cut, request))):
        _close_objects(schema)
    return cut


def hume_document():
    """Return a document of `POST /v0/tts/file`, built from the types of Hume's SDK."""
    from hume.tts.types import ErrorResponse, HttpValidationError, PostedTts
    from pydantic.json_schema import models_json_schema

    models = [(model, "validation") for model in (PostedTts, HttpValidationError, ErrorResponse)]
    names, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    bodies = {model: {"application/json": {"schema": names[model, "validation"]}} for model, _ in models}
    post = {
        "requestBody": {"required": True, "content": bodies[PostedTts]},
        "responses": {
            "200": {
                "description": "audio",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            "422": {"description": "invalid", "content": bodies[HttpValidationError]},
            "default": {"description": "error", "content": bodies[ErrorResponse]},
        },
    }
    path, release = "/v0/tts/file", version("hume")
    content = {
        "openapi": "3.1.0",
        "info": {"title": "types of Hume's SDK", "version": release},
        "paths": {path: {"post": post}},
        "components": {"schemas": schemas["$defs"]},
    }
    return Document("hume (SDK)", release, path, cut_document(content, path))


def _simplify_responses(responses):
    """Remove from the responses what Prism cannot generate: it validates the requests all the same."""
    for response in responses.values():
        response.get("headers", {}).pop("Transfer-Encoding", None)
        if "text/event-stream" in response.get("content", {}):
            response["content"]["text/event-stream"] = {"schema": {"type": "string"}}


def _copy_components(content, cut, start):
    for reference in _references(content, start):
        target, keys = cut, reference.removeprefix("#/").split("/")
        for key in keys[:-1]:
            target = target.setdefault(key, {})
        target[keys[-1]] = deepcopy(_referred(content, reference))


def _references(content, start):
    """Return the references that a part of a document contains, and those that these contain."""
    seen, open_parts = set(), [start]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                open_parts.append(_referred(content, reference))
            open_parts += part.values()
        elif isinstance(part, list):
            open_parts += part
    return sorted(seen)


def _referred(content, reference):
    for key in reference.removeprefix("#/").split("/"):
        content = content[key]
    return content


def _close_objects(schema):
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and schema.get("additionalProperties", True) is True:
            schema["additionalProperties"] = False
        for value in schema.values():
            _close_objects(value)
    elif isinstance(schema, list):
        for value in schema:
            _close_objects(value)
