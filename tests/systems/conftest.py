"""Fixtures that record systems in this process, against a local server."""

import json

import pytest
from omegaconf import OmegaConf

from dia.config.systems import RecordConfig, RetryConfig
from dia.resources import resource
from dia.systems.record import record
from tests.systems.vendor_server import KEY, Vendor, serving

PROMPTS = (
    {
        "id": "hello",
        "script": "[S1] {happy} Hello there my friend. (laughs) [S2] Oh, hi! (beep) How are you?",
    },
    {"id": "two/b", "script": "[S1] It is late. (sighs)", "tag": "sighs", "group": "g", "version": "A"},
)


def load_declared(name, /, **changes):
    """Return the content of a system's YAML file, with changes."""
    content = OmegaConf.to_container(OmegaConf.load(resource(f"eval/systems/{name}.yaml")))
    return content | changes


def read_rows(path):
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
    """Record a vendor's system into `out`; return the summary and the reported lines."""

    def run(name="elevenlabs", takes=1, attempts=3, system=None, **keys):
        path = "/v1" if name in ("openai", "emotivoice") else ""
        content = load_declared(name, base_url=vendor.url + path, **(system or {}))
        lines = []
        config = RecordConfig(
            system=content,
            suite=suite,
            out=str(tmp_path / "out"),
            takes=takes,
            confirm=keys.pop("confirm", True),
            retry=RetryConfig(attempts=attempts, min_wait_seconds=0.0),
            **keys,
        )
        return record(config, lines.append), lines

    return run
