"""The optimizers: AdamW, AdamW with eight bits a moment, and Muon for matrices beside AdamW for the rest.

8-bit moments are torchao's (Dettmers et al., arXiv 2110.02861): 2 bytes a weight instead of 8. Muon is
torch's own (Jordan et al., kellerjordan.github.io/posts/muon), its steps scaled to the size of AdamW's
(Moonlight, arXiv 2502.16982), so that one learning rate suits both.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from dia.errors import UserError
from dia.training.param_groups import group_of, parameter_groups

Named = list[tuple[str, nn.Parameter]]
ORTHOGONAL = ("matrices",)  # kinds of weights that Muon takes


class MuonAndAdamW(torch.optim.Optimizer):
    """Two optimizers as one: a group's ``by`` says which of them steps it. States and groups lie here, as
    torch expects them.
    """

    def __init__(self, muon: torch.optim.Muon, adamw: torch.optim.AdamW) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = (muon, adamw)
        groups = [
            group | {"by": number} for number, part in enumerate(self.parts) for group in part.param_groups
        ]
        super().__init__(groups, {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        """Let each take its step; Lightning's closure has the gradients made first."""
        loss = closure() if closure is not None else None
        for number, part in enumerate(self.parts):
            part.param_groups = [group for group in self.param_groups if group["by"] == number]
            part.state = self.state
            part.step()
        return loss


def adamw(
    named: Named, learning_rate: float, betas: tuple[float, float], decay: float, by_kind: dict[str, float]
) -> Any:
    """Return torch's AdamW, all weights in one kernel."""
    made = torch.optim.AdamW(
        parameter_groups(named, decay, by_kind), lr=learning_rate, betas=betas, fused=True
    )
    # fp16's scale is taken out before gradients are measured and clipped, not inside the step
    made._step_supports_amp_scaling = False
    return made


def adamw8bit(
    named: Named, learning_rate: float, betas: tuple[float, float], decay: float, by_kind: dict[str, float]
) -> Any:
    """Return torchao's AdamW of 8-bit moments. Raises :class:`UserError` when torchao is not installed."""
    try:
        from torchao.optim import AdamW8bit
    except ImportError as error:
        raise UserError("optim=adamw8bit needs torchao: pip install 'dia-framework[quantization]'") from error
    return AdamW8bit(parameter_groups(named, decay, by_kind), lr=learning_rate, betas=betas)


def muon(
    named: Named, learning_rate: float, betas: tuple[float, float], decay: float, by_kind: dict[str, float]
) -> Any:
    """Return Muon for the layers' matrices, beside AdamW for embeddings, norms, head and adapters."""
    matrices, rest = _split(named)
    if not matrices:
        return adamw(rest, learning_rate, betas, decay, by_kind)
    groups = parameter_groups(matrices, decay, by_kind)
    orthogonal = torch.optim.Muon(
        groups, lr=learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
    )
    return MuonAndAdamW(orthogonal, adamw(rest, learning_rate, betas, decay, by_kind))


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": adamw,
    "adamw8bit": adamw8bit,
    "muon": muon,
}


def _split(named: Iterable[tuple[str, nn.Parameter]]) -> tuple[Named, Named]:
    """The weights that are trained: those that Muon takes, and the rest."""
    parts: tuple[Named, Named] = ([], [])
    for name, parameter in named:
        if parameter.requires_grad:
            parts[group_of(name, parameter) not in ORTHOGONAL].append((name, parameter))
    return parts
