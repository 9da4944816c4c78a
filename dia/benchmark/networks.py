"""Create the benchmarked networks; they share their weights, so that all fit into memory at once."""

from typing import Any

import torch
from torch import Tensor, nn

from dia.benchmark.variants import DIA, DTYPES, Variant
from dia.checkpoint import load_checkpoint, transformers_layout
from dia.checkpoint.source import DEFAULT_SAMPLING
from dia.config.config_json import to_config_json
from dia.errors import UserError
from dia.inference.quantization import KINDS, LAYERS, quantize, replace_linears
from dia.network import DiaConfig, DiaNetwork

SPREAD = 0.02  # of random weights; their values do not affect the time of a product
BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "int8": 1.0,
    "fp8": 1.0,
    "int4": 0.5 + 4 / 32,
}  # for each weight; int4 has 4 bytes of scales for 32 weights


def random_like(tensor: Tensor, device: torch.device | None = None) -> Tensor:
    """Return random weights of a tensor's shape; ones for norms."""
    values = torch.empty(tensor.shape, device=device)
    return values.uniform_(-SPREAD, SPREAD) if tensor.ndim > 1 else values.fill_(1.0)


def random_network(config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    """Return a network of random weights, created layer by layer so that it never exists completely in fp32.

    In fp32 the weights of EOS are zero, so that generation does not end early; other variants are derived
    from it.
    """
    with torch.device("meta"):
        network = DiaNetwork(config)
    quantized = weights in LAYERS and device.type == "cpu"
    if quantized:
        replace_linears(network, lambda weight: LAYERS[weights](random_like(weight)))
    for prefix, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = random_like(parameter, device).to(storage_dtype(f"{prefix}.{name}", weights))
            setattr(module, name, nn.Parameter(values, requires_grad=False))
    if not quantized:
        network.logits_dense.weight.data[config.decoder.eos] = 0
    if weights in KINDS and not quantized:
        quantize(network, weights)
    return network.eval()


def storage_dtype(name: str, weights: str) -> torch.dtype:
    """Return the dtype of a parameter before quantization; norms stay fp32."""
    return torch.float32 if "norm" in name or weights in KINDS else DTYPES[weights]


def base_network(config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    """Return the fp32 network that all variants share: random in the config's shape, or a checkpoint's."""
    return (
        random_network(config, "fp32", device)
        if weights == "random"
        else load_checkpoint(weights, device).network
    )


def variant_network(base: DiaNetwork, weights: str) -> DiaNetwork:
    """Return the network with other weights; unchanged tensors are shared with ``base``."""
    if weights == "fp32":
        return base
    with torch.device("meta"):
        network = DiaNetwork(base.config)
    state = {name: tensor.to(storage_dtype(name, weights)) for name, tensor in base.state_dict().items()}
    network.load_state_dict(state, assign=True)
    if weights in KINDS:
        quantize(network, weights)
    return network.eval()


def transformers_model(network: DiaNetwork) -> Any:
    """Return transformers' model with the same (unquantized) weights. Raises :class:`UserError`."""
    try:
        import transformers
        from transformers.initialization import no_init_weights
    except ImportError as error:
        raise UserError(
            "the benchmark needs transformers, which is not installed: pip install 'dia-framework[bench]'"
        ) from error
    transformers_layout.require_transformers_generation(network.config, "the network of this benchmark")
    config = transformers.DiaConfig.from_dict(to_config_json(network.config, {}))
    with no_init_weights():
        model: Any = transformers.DiaForConditionalGeneration(config)
    model.load_state_dict(transformers_layout.to_tensors(network.state_dict()), assign=True)
    settings = transformers_layout.generation_config(network.config, DEFAULT_SAMPLING)
    model.generation_config = transformers.GenerationConfig.from_dict(settings)
    head = network.logits_dense.weight
    return model.to(head.device, head.dtype).eval()  # transformers keeps norms in the dtype of the model


def make_models(base: DiaNetwork, variants: list[Variant]) -> dict[Variant, Any]:
    """Return the model of each variant; eager and compiled variants of Dia share one network."""
    networks = {
        weights: variant_network(base, weights)
        for weights in dict.fromkeys(variant.weights for variant in variants)
    }
    return {
        variant: networks[variant.weights]
        if variant.implementation == DIA
        else _transformers_variant(networks[variant.weights], variant)
        for variant in variants
    }


def _transformers_variant(network: DiaNetwork, variant: Variant) -> Any:
    model = transformers_model(network)
    if variant.compiled:
        # each length of its static cache compiles again; the default of 8 would fall back to eager
        torch._dynamo.config.recompile_limit = 64
        model.forward = torch.compile(model.forward)
    return model


def weight_bytes_per_step(config: DiaConfig, weights: str) -> float:
    """Return the bytes of weights that one decoder step reads.

    These are the decoder's linear layers and the head, without the keys and values of the text, which are
    computed once, and without the embeddings, of which a step reads single rows.
    """
    with torch.device("meta"):
        network = DiaNetwork(config)
    skipped = ("cross_attention.k_proj", "cross_attention.v_proj")
    count = sum(
        layer.weight.numel()
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and not name.startswith("encoder.") and not name.endswith(skipped)
    )
    return count * BYTES[weights]


def cache_bytes_per_step(config: DiaConfig, weights: str, steps: int, rows: int = 2) -> float:
    """Return the bytes of the self-attention cache that a step reads after ``steps`` steps."""
    decoder, size = config.decoder, 2.0 if weights in ("bf16", "fp16") else 4.0
    return size * 2 * rows * decoder.layers * steps * decoder.key_value_heads * decoder.head_dim
