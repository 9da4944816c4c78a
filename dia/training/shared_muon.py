"""Muon whose work is shared among the processes of DDP.

The orthogonalization of a step costs as much as the gradients of a thousand frames, and every process would
repeat it. Here each process updates a part of the matrices and sends the result to the others. All processes
hold all momenta, so that a checkpoint of one process is complete.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor


class SharedMuon(torch.optim.Muon):
    """torch's Muon; its weights are the same bit by bit with any number of processes.

    The weights of FSDP2 (:class:`DTensor`) are updated as torch does it.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        """Run the closure, which computes the gradients, and update the weights of all processes."""
        with torch.enable_grad():
            loss = closure() if closure is not None else None
        groups = self.param_groups
        weights = [weight for group in groups for weight in group["params"] if weight.grad is not None]
        alone = not dist.is_initialized() or dist.get_world_size() == 1
        if alone or any(isinstance(weight, DTensor) for weight in weights):
            super().step()  # type: ignore[no-untyped-call]  # torch has no types for it
            return loss
        parts = split_by_cost(weights, dist.get_world_size())
        mine = {id(weight) for weight in parts[dist.get_rank()]}
        try:
            self.param_groups = [_part_of(group, mine) for group in groups]
            super().step()  # type: ignore[no-untyped-call]  # torch has no types for it
        finally:
            self.param_groups = groups
        for group in groups:
            self._update_momenta([weight for weight in group["params"] if id(weight) not in mine], group)
        for rank, part in enumerate(parts):
            broadcast(part, rank)
        return loss

    def _update_momenta(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """Update the momenta of weights that other processes update."""
        with_gradient: list[Tensor] = []
        gradients: list[Tensor] = []
        momenta: list[Tensor] = []
        self._init_group(group | {"params": weights}, with_gradient, gradients, momenta)
        for gradient, momentum in zip(gradients, momenta, strict=True):
            momentum.lerp_(gradient, 1 - group["momentum"])


def _part_of(group: dict[str, Any], chosen: set[int]) -> dict[str, Any]:
    return group | {"params": [weight for weight in group["params"] if id(weight) in chosen]}


def split_by_cost(weights: Sequence[Tensor], count: int) -> list[list[Tensor]]:
    """Return matrices in parts of about the same cost of orthogonalization, the most expensive first."""
    parts: list[list[Tensor]] = [[] for _ in range(count)]
    loads = [(0, place) for place in range(count)]
    for weight in sorted(weights, key=_cost, reverse=True):
        load, place = heapq.heappop(loads)
        parts[place].append(weight)
        heapq.heappush(loads, (load + _cost(weight), place))
    return parts


def _cost(weight: Tensor) -> int:
    """Multiplications of an iteration of Newton and Schulz for a matrix (m, n), m <= n."""
    m, n = sorted(weight.shape)
    return m * m * (2 * n + m)


def broadcast(tensors: Sequence[Tensor], rank: int) -> None:
    """Copy the values of a process's tensors to the other processes."""
    if not tensors:
        return
    joined = torch.cat([tensor.flatten() for tensor in tensors])
    dist.broadcast(joined, rank)
    for tensor, values in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(values.view_as(tensor))
