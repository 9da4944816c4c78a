"""Run an int8 ONNX graph in floating point with torch, on a CPU or a GPU.

onnxruntime has no GPU kernels for dynamically quantized graphs, and its int8 convolutions on a CPU take
longer than oneDNN's in float32. This executor dequantizes the weights once, when it is opened, evaluates what
depends on constants only, and runs the other nodes in order; :mod:`dia.data.sources.onnx_operators` holds the
operators. Numbers in shapes stay on the CPU, so that a GPU seldom waits.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.data.sources.onnx_file import Graph, Node
from dia.data.sources.onnx_operators import FINEST, ON_CPU, OPERATORS, Operator, convolve, lstm

QUANTIZE = "DynamicQuantizeLinear"
INTEGER_PRODUCTS = ("MatMulInteger", "ConvInteger")
LSTM = "DynamicQuantizeLSTM"
# ONNX orders the gates input, output, forget, cell; torch input, forget, cell, output.
GATES = (0, 2, 3, 1)
Call = tuple[Operator, tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """A node: its function, names of its inputs and outputs, and values to release afterwards."""

    function: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    on_cpu: tuple[int, ...]
    released: tuple[str, ...] = ()


class OnnxGraph:
    """A graph with its weights on ``device``; ``convolutions`` is the dtype of quantized convolutions.

    Raises ``KeyError`` for an operator that is not supported.
    """

    def __init__(self, graph: Graph, device: str, convolutions: torch.dtype = torch.float32) -> None:
        self.device, self._convolutions = torch.device(device), convolutions
        self._outputs = graph.outputs
        self._constants: dict[str, Any] = {"": None}
        self._constants |= {name: self._constant(array) for name, array in graph.constants.items()}
        steps = list(self._compile(graph.nodes))
        self._steps = list(_with_releases(steps, {*self._constants, *self._outputs}))
        used = {name for step in self._steps for name in (*step.inputs, *self._outputs)}
        self._constants = {name: value for name, value in self._constants.items() if name in used}

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs of the graph for its inputs by name."""
        values = dict(self._constants)
        for name, array in inputs.items():
            values[name] = torch.from_numpy(np.array(array)).to(self.device)
        for step in self._steps:
            values.update(zip(step.outputs, self._results(step, values), strict=False))
            for name in step.released:
                del values[name]
        return [values[name].cpu().numpy() for name in self._outputs]

    def _constant(self, array: NDArray[Any]) -> Tensor:
        """A float on the device; an integer on the CPU, where shapes are computed."""
        tensor = torch.from_numpy(np.array(array))
        return tensor.to(self.device) if tensor.is_floating_point() else tensor

    @torch.inference_mode()
    def _compile(self, nodes: tuple[Node, ...]) -> Iterator[Step]:
        """Yield the steps of the nodes that depend on the graph's inputs; evaluate the others."""
        for node in nodes:
            function, inputs, attributes = self._call(node)
            step = Step(function, inputs, node.outputs, attributes, ON_CPU.get(node.kind, ()))
            if node.kind == QUANTIZE:
                scale, zero = torch.tensor([FINEST, 0.0], device=self.device)
                self._constants |= zip(node.outputs[1:], (scale, zero), strict=True)
            if self._constants.keys() >= set(inputs):
                results = self._results(step, self._constants)
                self._constants |= zip(node.outputs, results, strict=False)
            else:
                yield step

    def _call(self, node: Node) -> Call:
        if node.kind in INTEGER_PRODUCTS:
            return self._integer_product(node)
        if node.kind == LSTM:
            return self._lstm(node)
        attributes = {
            name: self._constant(value) if isinstance(value, np.ndarray) else value
            for name, value in node.attributes.items()
        }
        return OPERATORS[node.kind], node.inputs, attributes

    def _integer_product(self, node: Node) -> Call:
        """A product of the activations with ``weight - zero point``, or with other activations."""
        activations, weight, _, zero = node.inputs
        is_convolution = node.kind == "ConvInteger"
        if weight in self._constants:
            name = f"{weight} dequantized"
            values, shift = self._constants[weight].float(), self._constants[zero].float()
            if is_convolution and shift.dim():  # one zero point for each output channel
                shift = shift[:, None, None]
            dtype = self._convolutions if is_convolution else torch.float32
            self._constants[name] = (values - shift).to(self.device, dtype)
            weight = name
        return convolve if is_convolution else torch.matmul, (activations, weight), node.attributes

    @torch.inference_mode(False)  # cuDNN moves the weights in place, which inference tensors do not permit
    def _lstm(self, node: Node) -> Call:
        """A bidirectional LSTM of torch with the dequantized weights."""
        x, weight, recurrent, bias, _, hidden, cell, _, *quantization = node.inputs
        weights = {"ih": (weight, *quantization[:2]), "hh": (recurrent, *quantization[2:])}
        sizes = [self._constants[name].shape[1] for name in (weight, recurrent)]
        network = torch.nn.LSTM(*sizes, bidirectional=True)
        state = {}
        for direction, suffix in enumerate(("_l0", "_l0_reverse")):
            for part, names in weights.items():
                values, scale, zero = (self._constants[name][direction].cpu().float() for name in names)
                state[f"weight_{part}{suffix}"] = _in_torch_order(((values - zero) * scale).T)
            for part, values in zip(weights, self._constants[bias][direction].cpu().chunk(2), strict=True):
                state[f"bias_{part}{suffix}"] = _in_torch_order(values)
        network.load_state_dict(state)
        name = f"{weight} network"
        self._constants[name] = network.to(self.device).eval()
        return lstm, (x, name, hidden, cell), {}

    def _results(self, step: Step, values: Mapping[str, Any]) -> tuple[Any, ...]:
        arguments = [values[name] for name in step.inputs]
        if self.device.type != "cpu":
            arguments = self._placed(step, arguments)
        result = step.function(*arguments, **step.attributes)
        return result if isinstance(result, tuple) else (result,)

    def _placed(self, step: Step, arguments: list[Any]) -> list[Any]:
        """Move shapes to the CPU, and the other tensors to the device if one of them is there."""
        others = [value for place, value in enumerate(arguments) if place not in step.on_cpu]
        target = "cpu"
        if any(isinstance(value, Tensor) and value.device.type != "cpu" for value in others):
            target = self.device.type
        return [
            value.to("cpu" if place in step.on_cpu else target) if isinstance(value, Tensor) else value
            for place, value in enumerate(arguments)
        ]


def _in_torch_order(gates: Tensor) -> Tensor:
    parts = gates.chunk(4)
    return torch.cat([parts[gate] for gate in GATES])


def _with_releases(steps: list[Step], lasting: set[str]) -> Iterator[Step]:
    """Yield the steps with the names of values that no later step needs."""
    uses = Counter(name for step in steps for name in set(step.inputs))
    for step in steps:
        uses.subtract(set(step.inputs))
        released = tuple(name for name in sorted(set(step.inputs)) if not uses[name] and name not in lasting)
        yield Step(step.function, step.inputs, step.outputs, step.attributes, step.on_cpu, released)
