"""Without a compiler the products of torch are used, and a message says so."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch
from dia.inference.quantization import int4_linear, int8_linear
from dia.native import native_products
layers = [make(torch.randn(16, 32)) for make in (int8_linear, int4_linear)]
print(native_products(), *(type(layer).__name__ for layer in layers))
print([layer(torch.ones(2, 32)).shape for layer in layers])
"""


@pytest.mark.parametrize("change, explained", [({"CXX": "/no/compiler"}, True), ({"DIA_NATIVE": "0"}, False)])
def test_other_products_take_over(tmp_path, change, explained):
    environment = os.environ | {"TORCH_EXTENSIONS_DIR": str(tmp_path)} | change
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.stdout.splitlines()[0] == "False FbgemmInt8Linear TorchInt4Linear"
    assert ("cannot be compiled" in result.stderr and "Install g++" in result.stderr) == explained
    assert "Traceback" not in result.stderr
