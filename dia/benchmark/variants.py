"""The variants of a benchmark: implementation, weights, eager or compiled."""

from dataclasses import dataclass

import torch

from dia.inference.quantization import KINDS

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DIA, TRANSFORMERS = "dia", "transformers"


@dataclass(frozen=True)
class Variant:
    """``implementation`` is `dia` or `transformers`, ``weights`` a dtype or, for `dia`, quantized."""

    implementation: str
    weights: str
    compiled: bool = False

    @classmethod
    def parse(cls, name: str) -> "Variant":
        """Parse a name such as `dia-int8-compiled`. Raises ``ValueError`` with the known names."""
        implementation, *rest = name.split("-")
        weights, compiled = rest[0] if rest else "", rest[1:]
        known = (*DTYPES, *KINDS) if implementation == DIA else tuple(DTYPES)
        if (
            implementation not in (DIA, TRANSFORMERS)
            or weights not in known
            or compiled not in ([], ["compiled"])
        ):
            raise ValueError(
                f"variants: {name!r} is unknown; use dia-WEIGHTS or transformers-WEIGHTS, optionally with "
                f"-compiled; WEIGHTS is one of {', '.join(DTYPES)} (dia also {', '.join(KINDS)})"
            )
        return cls(implementation, weights, bool(compiled))

    def __str__(self) -> str:
        return "-".join([self.implementation, self.weights] + ["compiled"] * self.compiled)
