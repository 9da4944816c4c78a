"""Kokoro in floating point against Kokoro in int8 with onnxruntime, and the reader of ONNX files."""

import numpy as np
import onnxruntime
import pytest
import torch
import torchaudio

from dia.data.sources.kokoro import Kokoro, _model_file
from dia.data.sources.onnx_file import read_graph
from dia.data.sources.onnx_graph import OnnxGraph
from dia.data.sources.onnx_operators import gather, range_, reshape, scatter, slice_, unsqueeze
from dia.data.sources.voices import SAMPLE_RATE
from dia.judges.librosa_import import import_librosa

SENTENCE = "What time does the train to Boston leave?"


def distance(first, second):
    """Mean distance of log-mel frames along the best alignment in time."""
    mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, 1024, hop_length=256, n_mels=80)
    features = [(mel(torch.from_numpy(waveform)) + 1e-3).log().numpy() for waveform in (first, second)]
    costs, path = import_librosa().sequence.dtw(*features)
    return costs[-1, -1] / len(path)


def onnxruntime_model():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(_model_file(), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


@pytest.mark.slow
def test_kokoro_in_floating_point_speaks_as_in_int8(monkeypatch):
    float32 = Kokoro("am_michael").speak(SENTENCE, 1.0, 0)
    bfloat16 = Kokoro("am_michael", dtype=torch.bfloat16).speak(SENTENCE, 1.0, 0)
    reference = onnxruntime_model()
    monkeypatch.setattr("dia.data.sources.kokoro._model", lambda device, dtype: reference)
    int8, other = (Kokoro(voice).speak(SENTENCE, 1.0, 0) for voice in ("am_michael", "am_adam"))
    for waveform in (float32, bfloat16):
        assert len(waveform) == pytest.approx(len(int8), rel=0.05)
        assert not np.array_equal(waveform[:9000], int8[:9000])
        assert distance(int8, waveform) < 0.4 * distance(int8, other)
    assert not np.array_equal(float32[:9000], bfloat16[:9000])


@pytest.mark.slow
def test_the_graph_of_kokoro_is_read():
    graph = read_graph(_model_file())
    assert len(graph.nodes) == 3614 and graph.outputs == ("audio",)
    assert {node.kind for node in graph.nodes} >= {"ConvInteger", "MatMulInteger", "DynamicQuantizeLSTM"}
    weights = [array for array in graph.constants.values() if array.dtype in (np.int8, np.uint8)]
    assert sum(array.size for array in weights) > 70_000_000


def message(*fields):
    """Bytes of a protobuf message: (field, integer) or (field, bytes)."""
    content = b""
    for number, value in fields:
        if isinstance(value, int):
            content += varint(number << 3) + varint(value)
        else:
            content += varint(number << 3 | 2) + varint(len(value)) + value
    return content


def varint(value):
    value &= (1 << 64) - 1
    content = b""
    while value >= 0x80:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])


def tensor(name, array):
    kind = {"float32": 1, "int8": 3, "uint8": 2, "int64": 7}[array.dtype.name]
    sizes = [(1, size) for size in array.shape]
    return message(*sizes, (2, kind), (8, name.encode()), (9, array.tobytes()))


def node(kind, inputs, outputs, *attributes):
    names = [(1, name.encode()) for name in inputs] + [(2, name.encode()) for name in outputs]
    return message(*names, (4, kind.encode()), *((5, attribute) for attribute in attributes))


def integers(name, values):
    return message((1, name.encode()), *((8, value) for value in values), (20, 7))


def model(nodes, constants, output):
    graph = message(
        *((1, item) for item in nodes),
        *((5, item) for item in constants),
        (12, message((1, output.encode()))),
    )
    return message((1, 8), (7, graph))


def test_a_quantized_product_is_the_product_with_dequantized_weights():
    random = np.random.default_rng(0)
    weight = random.integers(-128, 128, (6, 3), dtype=np.int8)
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        node("MatMulInteger", ["q", "w", "zero", "w_zero"], ["product"]),
        node("Mul", ["scale", "w_scale"], ["both"]),
        node("Cast", ["product"], ["float"], message((1, b"to"), (3, 1), (20, 2))),
        node("Mul", ["float", "both"], ["scaled"]),
        node("Transpose", ["scaled"], ["y"], integers("perm", [1, 0])),
    ]
    constants = [
        tensor("w", weight),
        tensor("w_zero", np.array(-5, np.int8)),
        tensor("w_scale", np.array(0.01, np.float32)),
    ]
    x = random.standard_normal((2, 6)).astype(np.float32)
    (y,) = OnnxGraph(read_graph(model(nodes, constants, "y")), "cpu").run({"x": x})
    np.testing.assert_allclose(y, (x @ ((weight.astype(np.float32) + 5) * 0.01)).T, rtol=1e-5)


@pytest.mark.parametrize("size", [3, 40, 200])
def test_an_incomplete_file_is_refused(size):
    content = model([node("Sqrt", ["x"], ["y"])] * 20, [tensor("w", np.zeros(30, np.float32))], "y")
    with pytest.raises(ValueError, match="ends within"):
        read_graph(content[:size])


def test_an_unknown_operator_is_refused():
    with pytest.raises(KeyError, match="Elu"):
        OnnxGraph(read_graph(model([node("Elu", ["x"], ["y"])], [], "y")), "cpu")


def test_operators_follow_the_specification():
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert reshape(x, torch.tensor([0, -1])).shape == (2, 12)
    assert unsqueeze(x, torch.tensor([0, -1])).shape == (1, 2, 3, 4, 1)
    assert torch.equal(gather(x, torch.tensor(-1), axis=1), x[:, -1])
    assert gather(x, torch.tensor([[0, 1], [1, 0]]), axis=0).shape == (2, 2, 3, 4)
    reverse = [torch.tensor([value]) for value in (-1, -(2**63), 2, -1)]
    assert torch.equal(slice_(x, *reverse), x.flip(2))
    assert torch.equal(slice_(x, *(torch.tensor([value]) for value in (1, 2**62, 1))), x[:, 1:])
    assert range_(*map(torch.tensor, (0, 5, 2))).tolist() == [0, 2, 4]
    changed = scatter(x, torch.tensor([[0, 1], [1, 2]]), torch.zeros(2, 4))
    assert changed[0, 1].sum() == changed[1, 2].sum() == 0 and torch.equal(changed[0, 0], x[0, 0])
