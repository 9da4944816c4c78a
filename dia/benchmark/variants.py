"""What is measured: whose code, with which weights, as it is or compiled."""

from dataclasses import dataclass

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
OURS, THEIRS = "dia", "transformers"


@dataclass(frozen=True)
class Variant:
    """``who`` is `dia` or `transformers`; ``weights`` fp32, bf16, fp16, and for `dia` int8 or int4."""

    who: str
    weights: str
    compiled: bool = False

    @classmethod
    def parse(cls, name: str) -> "Variant":
        """Read `dia-int8-compiled`. Raises ``ValueError`` saying what there is."""
        who, *rest = name.split("-")
        weights, compiled = rest[0] if rest else "", rest[1:]
        known = (*DTYPES, "int8", "int4") if who == OURS else tuple(DTYPES)
        if who not in (OURS, THEIRS) or weights not in known or compiled not in ([], ["compiled"]):
            raise ValueError(
                f"variants: {name!r} is unknown; write dia-WEIGHTS or transformers-WEIGHTS, with {', '.join(DTYPES)} "
                f"(dia also int8, int4), and -compiled behind it if wanted"
            )
        return cls(who, weights, bool(compiled))

    def __str__(self) -> str:
        return "-".join([self.who, self.weights] + ["compiled"] * self.compiled)
