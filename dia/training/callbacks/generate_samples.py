"""A model in training speaks fixed scripts, so that one can hear it learn and the judges can tell by how
much.
"""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.seed import isolate_rng

from dia.checkpoint.adapter import merge_tensors
from dia.codecs.protocol import Codec
from dia.inference import Sampling, Speech, Synthesizer
from dia.network import DiaNetwork
from dia.training.callbacks.audio_logging import log_sound
from dia.training.dia_module import DiaModule
from dia.training.distributed import is_sharded, whole_state
from dia.training.lora import LoraLinear

Listen = Callable[[list[Speech]], tuple[dict[str, float], dict[str, str]]]
"""From what was spoken to figures by name, and why others are missing."""


class GenerateSamples(L.Callback):
    """Speaks fixed scripts on every ``every``-th validation and logs what ``listen`` hears in them; to W&B
    also their sound.

    ``listen`` is given by the front door, which knows the judges; what it cannot measure is printed once,
    with the reason. Rank 0 speaks, with the weights whole (:func:`whole_network`), while the others wait. No
    global random number is drawn.
    """

    def __init__(
        self,
        codec: Codec,
        scripts: list[str],
        sampling: Sampling,
        max_tokens: int,
        every: int,
        listen: Listen,
    ) -> None:
        self.codec, self.scripts, self.sampling = codec, scripts, sampling
        self.max_tokens, self.every, self.listen = max_tokens, every, listen
        self.validations = 0
        self.told: set[str] = set()

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Speak with the weights as they are and log."""
        assert isinstance(task, DiaModule)
        if trainer.sanity_checking or not self.scripts:
            return
        self.validations += 1
        if self.validations % self.every:
            return
        network = whole_network(task.network, trainer.is_global_zero)
        if network is not None:
            with isolate_rng():
                spoken = self._speak(network)
                figures, missing = self.listen(spoken)
            self._log(trainer, figures, spoken)
            self._tell(missing)
        trainer.strategy.barrier("scripts are spoken")

    def state_dict(self) -> dict[str, Any]:
        """Return how many validations there were, so that a run that goes on speaks when it would have."""
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.validations = state_dict["validations"]

    def _speak(self, network: DiaNetwork) -> list[Speech]:
        training = network.training
        network.eval()
        seeds = list(range(len(self.scripts)))
        with torch.compiler.set_stance(
            "force_eager"
        ):  # layers compiled for training would be compiled again for every length
            spoken = Synthesizer(network, self.codec).speak(
                self.scripts, seeds, self.sampling, self.max_tokens
            )
        network.train(training)
        return spoken

    def _log(self, trainer: L.Trainer, figures: dict[str, float], spoken: list[Speech]) -> None:
        named = {f"validation/{name}": value for name, value in figures.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named, step=trainer.global_step)
            if isinstance(logger, WandbLogger):
                log_sound(logger, self.scripts, spoken, trainer.global_step)

    def _tell(self, missing: dict[str, str]) -> None:
        for name, reason in missing.items():
            if f"{name}: {reason}" not in self.told:
                self.told.add(f"{name}: {reason}")
                print(f"validation/{name} is not measured: {reason}")


def whole_network(network: DiaNetwork, here: bool) -> DiaNetwork | None:
    """Return the network with all of its weights where ``here`` is true, None elsewhere. All ranks must call
    it.

    It is the network itself unless its weights are sharded; then a copy is made of what is gathered, adapters
    merged.
    """
    if not is_sharded(network):
        return network if here else None
    state = whole_state(network)
    if not here:
        return None
    if adapted := [module for module in network.modules() if isinstance(module, LoraLinear)]:
        state = merge_tensors(state, adapted[0].scale)
    with torch.device("meta"):
        copy = DiaNetwork(network.config)
    scales = [layer.scale for layer in network.modules() if isinstance(layer, LoraLinear)]
    copy.load_state_dict(merge_tensors(state, scales[0]) if scales else state, assign=True)
    return copy.to(next(network.parameters()).device)
