"""Describe a checkpoint in a few lines.

The lines give layout, generation, size, types, codec, checksums and unusable weights.
"""

from collections import Counter
from math import prod

import torch

from dia.checkpoint.load import codec_of, shape_problems
from dia.checkpoint.source import Source
from dia.files import file_sha256
from dia.network import DiaNetwork
from dia.tensor_files import not_finite


def describe(source: Source) -> list[str]:
    """Return lines about a checkpoint, with each file's SHA-256, and which tensors cannot be used: they do
    not fit its config, or have values that are not finite."""
    config, codec = source.config, codec_of(source)
    types = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in source.tensors.values())
    weights = sum(prod(tensor.shape) for tensor in source.tensors.values())
    size = sum(tensor.nbytes for tensor in source.tensors.values())
    with torch.device("meta"):
        problems = shape_problems(DiaNetwork(config), source.tensors)
    infinite = not_finite(source.tensors)
    return [
        f"layout      {source.layout}",
        f"generation  {source.generation}, cross_rope={config.cross_rope} (according to "
        f"{source.generation_source})",
        f"network     encoder {config.encoder.layers} x {config.encoder.hidden_size}, decoder "
        f"{config.decoder.layers} x "
        f"{config.decoder.hidden_size}, {config.channels} channels of {config.decoder.codebook_size} codes",
        f"weights     {weights:,} in {len(source.tensors)} tensors, {size / 1e9:.3f} GB, "
        + ", ".join(f"{count} {name}" for name, count in sorted(types.items())),
        f"codec       {codec.name if codec else 'not named'}",
        "sampling    "
        + ", ".join(f"{key}={value}" for key, value in source.sampling.items())
        + f" (according to {source.sampling_source})",
        *(f"file        {path} sha256 {file_sha256(path)}" for path in source.located.weights),
        "shapes      " + ("all fit" if not problems else f"{len(problems)} do not fit"),
        *(f"            {problem}" for problem in problems),
        "values      " + ("all finite" if not infinite else f"{len(infinite)} tensors are not finite"),
        *(f"            {problem}" for problem in infinite),
    ]
