"""Several processes: how they are joined, and how the network is spread over them. Applied from outside; the
network knows nothing of it.

`ddp`: each process has the whole network, gradients are averaged. `fsdp2`: each has a shard of every
parameter, its gradient and its optimizer state, and gathers a layer's when it is computed (torch's
fully_shard, through Lightning's ModelParallelStrategy). A checkpoint of the latter is a folder of shards.
"""

from typing import cast

from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from dia.network import DiaNetwork
from dia.training.distributed_env import Processes


def build_strategy(name: str, found: Processes) -> Strategy | str:
    """Return Lightning's strategy for `single`, `ddp` or `fsdp2`."""
    if name == "ddp":
        return DDPStrategy(
            gradient_as_bucket_view=True
        )  # gradients lie in the buckets that are sent, not beside them
    if name == "fsdp2":
        return ModelParallelStrategy(data_parallel_size=found.world, tensor_parallel_size=1)
    return "auto"


def cluster(found: Processes) -> ClusterEnvironment:
    """Return what tells Lightning of the processes. SLURM's requeueing is the submit script's business, not
    Lightning's.
    """
    if found.starter == "torchrun":
        return TorchElasticEnvironment()
    if found.starter == "srun":
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def shard(whole: nn.Module, network: DiaNetwork, mesh: DeviceMesh) -> None:
    """Spread a network's layers over a mesh, and what is left of it with ``whole``, whose forward must run
    all of it.

    The head and the embeddings are gathered once a batch, with ``whole``; parameters are gathered in fp32,
    which autocast turns into what products are made in, as it does without sharding.
    """
    for layer in [*network.encoder.layers, *network.decoder.layers]:
        fully_shard(layer, mesh=mesh)
    fully_shard(whole, mesh=mesh, reshard_after_forward=False)


def whole_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's tensors, whole. With sharding every rank must call it, and rank 0 alone gets them,
    on the CPU.
    """
    if not is_sharded(network):
        return network.state_dict()
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast(dict[str, Tensor], get_model_state_dict(network, options=options))


def is_sharded(network: nn.Module) -> bool:
    """Whether its parameters are spread over processes."""
    return any(isinstance(parameter, DTensor) for parameter in network.parameters())
