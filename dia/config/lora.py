"""LoRA: low-rank adapters that are trained instead of all weights."""

from dataclasses import dataclass, field

PARTS = ("self_attention", "cross_attention", "mlp")
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
TARGETS = (
    *LAYERS,
    *(f"{part}.{layer}" for part in PARTS for layer in LAYERS if (part == "mlp") == (layer in LAYERS[4:])),
)


@dataclass
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = 0
    """Rank of the adapters; 0 trains all weights instead."""
    alpha: float = 64.0
    """The adapters' product is scaled by alpha / rank; twice the rank is usual."""
    dropout: float = 0.0
    """Share of a layer's input features that its adapter does not see in training."""
    targets: list[str] = field(default_factory=lambda: list(LAYERS))
    """Linear layers with adapters, by the end of their name: `q_proj`, or `cross_attention.q_proj` for those
    alone."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = (
            [] if self.rank >= 0 else [f"lora.rank={self.rank} must be 0 (off) or more; usual are 8 to 128"]
        )
        if self.alpha <= 0:
            problems.append(f"lora.alpha={self.alpha} must be above 0; usual is twice the rank")
        if not 0 <= self.dropout < 1:
            problems.append(f"lora.dropout={self.dropout} is a share; choose 0 to below 1 (usual 0 to .1)")
        if unknown := [target for target in self.targets if target not in TARGETS]:
            problems.append(f"lora.targets={unknown} are no layers; choose from {', '.join(TARGETS)}")
        if not self.targets:
            problems.append(f"lora.targets is empty; choose from {', '.join(TARGETS)}")
        return problems
