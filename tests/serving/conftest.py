"""A running server of a tiny random model, and the official client of OpenAI."""

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import openai
import pytest
import torch
import uvicorn

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.serve import ServeConfig
from dia.inference import Sampling
from dia.model import Dia
from dia.network import DiaNetwork
from dia.serving.app import create_app
from dia.serving.connections import TimedProtocol, server_settings
from tests.conftest import TINY, TINY_CODEC

STEPS = 300


class ImpatientProtocol(TimedProtocol):
    """Waits as little as a test can."""

    header_seconds, read_seconds = 1.0, 1.0


EOS = TINY.decoder.eos


def make_dia():
    """Return a random model that ends by itself after .4 to 6 seconds (with seed 27), or after 12."""
    torch.manual_seed(0)
    shape = replace(TINY, decoder=replace(TINY.decoder, max_positions=STEPS))
    codec = SpectralCodec(SpectralNetwork(TINY_CODEC).eval(), "tiny")
    network = DiaNetwork(shape).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3
    network.logits_dense.weight.data[EOS] = 1.03 * network.logits_dense.weight.data[9]
    return Dia.from_network(network, codec, Sampling())


@contextmanager
def serving(dia, recognition=None, **options):
    """Run the server in a thread; yields its address and its application."""
    app = create_app(dia, ServeConfig(ckpt="tiny", **options), recognition)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_settings(app, ImpatientProtocol))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app
        server.should_exit = True
        thread.join()


def client_of(address, key="unused"):
    """Return OpenAI's client, which does not retry, so that each request is one."""
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="session")
def dia():
    return make_dia()


@pytest.fixture(scope="session")
def server(dia, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "voices"
    with serving(dia, voices=str(folder), max_text=2000, max_upload=1.0) as (address, app):
        yield address, app
