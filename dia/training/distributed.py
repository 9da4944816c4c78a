"""Distributed training: detect the processes of torchrun or srun, build the strategy, shard the network.

`ddp` keeps the whole network in each process and averages gradients. `fsdp2` keeps a shard of every
parameter, gradient and optimizer state in each process and gathers one layer at a time (torch's
``fully_shard`` through Lightning's ``ModelParallelStrategy``); its checkpoints are folders of shards. Both
are applied from outside; the network contains no distributed code.

Lightning never launches processes here: its launcher runs the command line again with other arguments.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies import Strategy as LightningStrategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from dia.config.trainer import TrainerConfig
from dia.network import DiaNetwork
from dia.training.sharded_strategy import ShardedStrategy

TORCHRUN = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK")
SRUN = ("SLURM_NTASKS", "SLURM_NNODES", "SLURM_PROCID")


@dataclass(frozen=True)
class Processes:
    """The number of nodes, of processes on each node, and this process's global rank.

    ``launcher`` is `torchrun`, `srun`, or empty for a single process.
    """

    launcher: str
    nodes: int
    devices: int
    rank: int

    @property
    def world_size(self) -> int:
        """The number of processes on all nodes."""
        return self.nodes * self.devices


def distributed_env(environment: Mapping[str, str] = os.environ) -> Processes:
    """Return the processes that torchrun or srun started, according to their environment variables."""
    if all(name in environment for name in TORCHRUN):
        world, local, rank = (int(environment[name]) for name in TORCHRUN)
        return Processes("torchrun", world // local, local, rank)
    if SLURMEnvironment.detect() and all(name in environment for name in SRUN):
        tasks, nodes, rank = (int(environment[name]) for name in SRUN)
        return Processes("srun", nodes, tasks // nodes, rank)
    return Processes("", 1, 1, 0)


def process_problems(config: TrainerConfig, processes: Processes) -> list[str]:
    """Return the contradictions between the trainer's config and the started processes, each with its remedy.

    0 devices or nodes in the config accept any number.
    """
    launcher = processes.launcher
    if not config.strategy.distributed:
        if processes.world_size == 1:
            return []
        return [f"{launcher} started {processes.world_size} processes; choose trainer=ddp or trainer=fsdp2"]
    if not launcher:
        return [
            f"trainer.strategy={config.strategy} needs processes that torchrun or srun started; "
            "run: torchrun --nproc-per-node=GPUS -m dia.train ..."
        ]
    numbers = (
        ("devices", config.devices, processes.devices),
        ("nodes", config.nodes, processes.nodes),
    )
    return [
        f"trainer.{name}={configured}, but {launcher} started {started}; make them equal, or set "
        f"trainer.{name}=0"
        for name, configured, started in numbers
        if configured not in (0, started)
    ]


def _ddp(processes: Processes) -> LightningStrategy:
    # gradients are views of the communication buckets instead of copies beside them
    return DDPStrategy(gradient_as_bucket_view=True)


def _fsdp2(processes: Processes) -> LightningStrategy:
    return ShardedStrategy(data_parallel_size=processes.world_size, tensor_parallel_size=1)


STRATEGIES: dict[str, Callable[[Processes], LightningStrategy | str]] = {
    "single": lambda processes: "auto",
    "ddp": _ddp,
    "fsdp2": _fsdp2,
}
"""Lightning's strategy for each choice of `trainer.strategy`."""


def cluster_environment(processes: Processes) -> ClusterEnvironment:
    """Return the launcher's environment for Lightning; SLURM requeueing is left to the submit script."""
    if processes.launcher == "torchrun":
        return TorchElasticEnvironment()
    if processes.launcher == "srun":
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def shard(whole: nn.Module, network: DiaNetwork, mesh: DeviceMesh) -> None:
    """Shard each layer of a network over a mesh, then the remaining parameters as one unit with ``whole``.

    ``whole`` is the module whose forward pass runs all of the network. Head and embeddings are gathered once
    a batch, with ``whole``. Parameters are gathered in fp32 and cast by autocast, as without sharding.
    """
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        fully_shard(layer, mesh=mesh)
    fully_shard(whole, mesh=mesh, reshard_after_forward=False)


def whole_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's unsharded state dict.

    If the network is sharded, every rank must call this, and only rank 0 receives the tensors, on the CPU.
    """
    if not is_sharded(network):
        return network.state_dict()
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast(dict[str, Tensor], get_model_state_dict(network, options=options))


def is_sharded(network: nn.Module) -> bool:
    """Return whether the parameters are sharded over processes."""
    return any(isinstance(parameter, DTensor) for parameter in network.parameters())
