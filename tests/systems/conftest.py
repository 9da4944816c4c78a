"""Recording in this process, against the local server."""

import json

import pytest
from omegaconf import OmegaConf

from dia.config.systems import RecordConfig, RetryConfig
from dia.resources import resource
from dia.systems.record import record
from tests.systems.vendor import KEY, Vendor, serving

PROMPTS = (
    {
        "id": "hello",
        "script": "[S1] {happy} Hello there my friend. (laughs) [S2] Oh, hi! (beep) How are you?",
    },
    {"id": "two/b", "script": "[S1] It is late. (sighs)", "tag": "sighs", "group": "g", "version": "A"},
)


def declared(name, /, **changes):
    """The content of a system's YAML file, with changes."""
    content = OmegaConf.to_container(OmegaConf.load(resource(f"eval/systems/{name}.yaml")))
    return content | changes


def lines_of(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "small.jsonl"
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    return str(path)


@pytest.fixture
def vendor(monkeypatch):
    for name in ("ELEVENLABS_API_KEY", "OPENAI_API_KEY", "HUME_API_KEY"):
        monkeypatch.setenv(name, KEY)
    with serving(Vendor()) as running:
        yield running


@pytest.fixture
def recording(vendor, suite, tmp_path):
    """Records a vendor's system into `out`; returns what `record` returns and what it said."""

    def run(name="elevenlabs", takes=1, attempts=3, system=None, **keys):
        path = "/v1" if name in ("openai", "emotivoice") else ""
        content = declared(name, base_url=vendor.url + path, **(system or {}))
        said = []
        config = RecordConfig(
            system=content, suite=suite, out=str(tmp_path / "out"), takes=takes, confirm=keys.pop("confirm", True),
            retry=RetryConfig(attempts=attempts, min_wait_seconds=0.0), **keys,
        )  # fmt: skip
        return record(config, said.append), said

    return run
