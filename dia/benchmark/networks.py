"""The networks that are measured. They share their weights, so that all of them fit into memory at once."""

from typing import Any

import torch
from torch import Tensor, nn

from dia.benchmark.variants import DTYPES, OURS, Variant
from dia.checkpoint import load_checkpoint, transformers_layout
from dia.checkpoint.source import DEFAULT_SAMPLING
from dia.errors import UserError
from dia.inference.quantization import LAYERS, quantize, replace_linears
from dia.network import DiaConfig, DiaNetwork

SPREAD = 0.02  # of random weights; what they are does not change how long a product takes
BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "int8": 1.0,
    "int4": 0.5 + 4 / 32,
}  # a weight; 4 bytes of scales for 32 of int4


def random_like(tensor: Tensor, device: torch.device | None = None) -> Tensor:
    """Return random weights of a tensor's shape; ones for norms."""
    made = torch.empty(tensor.shape, device=device)
    return made.uniform_(-SPREAD, SPREAD) if tensor.ndim > 1 else made.fill_(1.0)


def random_network(config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    """Return a network of random weights, made layer by layer, so that quantized ones are never whole in
    fp32.

    It never chooses to end in fp32, where its EOS has no weights; the other variants are made of that one.
    """
    with torch.device("meta"):
        network = DiaNetwork(config)
    quantized = weights in LAYERS and device.type == "cpu"
    if quantized:
        replace_linears(network, lambda weight: LAYERS[weights](random_like(weight)))
    for prefix, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            made = random_like(parameter, device).to(stored_as(f"{prefix}.{name}", weights))
            setattr(module, name, nn.Parameter(made, requires_grad=False))
    if not quantized:
        network.logits_dense.weight.data[config.decoder.eos] = 0
    if weights in LAYERS and not quantized:
        quantize(network, weights)
    return network.eval()


def stored_as(name: str, weights: str) -> torch.dtype:
    """Return the type of a parameter before it is quantized; norms stay fp32."""
    return torch.float32 if "norm" in name or weights in LAYERS else DTYPES[weights]


def base_network(config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    """Return the network that all variants share: random in the config's shape, or a checkpoint's, in
    fp32.
    """
    return (
        random_network(config, "fp32", device)
        if weights == "random"
        else load_checkpoint(weights, device).network
    )


def variant_network(base: DiaNetwork, weights: str) -> DiaNetwork:
    """Return the same network in other weights; what stays as it is is shared with ``base``."""
    if weights == "fp32":
        return base
    with torch.device("meta"):
        network = DiaNetwork(base.config)
    state = {name: tensor.to(stored_as(name, weights)) for name, tensor in base.state_dict().items()}
    network.load_state_dict(state, assign=True)
    if weights in LAYERS:
        quantize(network, weights)
    return network.eval()


def theirs(network: DiaNetwork) -> Any:
    """Return transformers' model over the same weights (not quantized ones). Raises :class:`UserError`
    without transformers.
    """
    try:
        import transformers
        from transformers.initialization import no_init_weights
    except ImportError as error:
        raise UserError(
            "this compares with transformers; install it: pip install 'dia-framework[bench]'"
        ) from error
    config = transformers.DiaConfig.from_dict(transformers_layout.to_config_json(network.config, {}))
    with no_init_weights():
        model: Any = transformers.DiaForConditionalGeneration(config)
    model.load_state_dict(transformers_layout.to_tensors(network.state_dict()), assign=True)
    settings = transformers_layout.generation_config(network.config, DEFAULT_SAMPLING)
    model.generation_config = transformers.GenerationConfig.from_dict(settings)
    head = network.logits_dense.weight
    return model.to(head.device, head.dtype).eval()  # which their norms follow


def make_models(base: DiaNetwork, variants: list[Variant]) -> dict[Variant, Any]:
    """Return the model of each variant: ours, compiled or not, is one network; theirs is wrapped to be
    compiled.
    """
    ours = {
        weights: variant_network(base, weights)
        for weights in dict.fromkeys(item.weights for item in variants)
    }
    return {
        item: ours[item.weights] if item.who == OURS else _theirs_as_asked(ours[item.weights], item)
        for item in variants
    }


def _theirs_as_asked(network: DiaNetwork, variant: Variant) -> Any:
    model = theirs(network)
    if variant.compiled:
        torch._dynamo.config.recompile_limit = (
            64  # each length of its static cache is one, and 8 would put it back to eager
        )
        model.forward = torch.compile(model.forward)
    return model


def bytes_of_a_step(config: DiaConfig, weights: str) -> float:
    """Return the bytes of weights that one decoder step must read: the decoder's products without the keys
    and values of the text (made once), and the head. Of embeddings a step reads single rows."""
    with torch.device("meta"):
        network = DiaNetwork(config)
    skipped = ("cross_attention.k_proj", "cross_attention.v_proj")
    count = sum(
        layer.weight.numel()
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and not name.startswith("encoder.") and not name.endswith(skipped)
    )
    return count * BYTES[weights]


def bytes_of_attention(config: DiaConfig, weights: str, steps: int, rows: int = 2) -> float:
    """Return the bytes of its own keys and values that a step after ``steps`` others reads; the text's are
    always the same.
    """
    decoder, size = config.decoder, 2.0 if weights in ("bf16", "fp16") else 4.0
    return size * 2 * rows * decoder.layers * steps * decoder.key_value_heads * decoder.head_dim
