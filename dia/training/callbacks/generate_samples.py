"""A callback that generates speech of fixed scripts after validations and scores it with the judges."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray

from dia.checkpoint.adapter import merge_tensors
from dia.codecs.protocol import Codec
from dia.errors import UserError
from dia.inference import Sampling, Speech, Synthesizer
from dia.inference.text_attention import text_attention
from dia.network import DiaNetwork
from dia.training.callbacks.audio_logging import log_audio
from dia.training.callbacks.sample_page import store_samples
from dia.training.dia_module import DiaModule
from dia.training.distributed import is_sharded, whole_state
from dia.training.lora import LoraLinear

Score = Callable[[list[Speech]], tuple[dict[str, float], dict[str, str]]]
"""From generated speech to metrics by name, and the reason for each metric that is not measured."""
logger = logging.getLogger(__name__)


class GenerateSamples(L.Callback):
    """Generates fixed scripts at every ``every``-th validation and logs the metrics of ``score``.

    Audio and attention over the text go to the page of the run folder (:mod:`.sample_page`), and to W&B and
    TensorBoard where they log. Rank 0 generates with the unsharded weights while the others wait. Global
    random states stay unchanged. ``metrics`` are the last values on rank 0; ``is_new`` is whether the current
    validation generated samples.
    """

    def __init__(
        self,
        codec: Codec,
        scripts: list[str],
        sampling: Sampling,
        max_tokens: int,
        every: int,
        score: Score,
        folder: Path,
    ) -> None:
        self.codec, self.scripts, self.sampling, self.folder = codec, scripts, sampling, folder
        self.max_tokens, self.every, self.score = max_tokens, every, score
        self.validations = 0
        self.metrics: dict[str, float] = {}
        self.is_new = False
        self.reported: set[str] = set()

    @property
    def state_key(self) -> str:
        """The name of its state in checkpoints, which earlier versions wrote as well."""
        return "SpeakScripts"

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Generate with the current weights, score, and log."""
        assert isinstance(task, DiaModule)
        if trainer.sanity_checking or not self.scripts:
            return
        self.validations += 1
        self.is_new = self.validations % self.every == 0
        if self.is_new:
            self.generate_now(trainer, task)

    def generate_now(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Generate with the current weights, score, and log; every rank must call it."""
        assert isinstance(task, DiaModule)
        network = unsharded_network(task.network, needed_here=trainer.is_global_zero)
        if network is not None:
            try:
                self._generate_and_log(trainer, network)
            except (
                UserError
            ) as error:  # such as logits that are not finite, of which the divergence guard decides
                logger.warning("no samples at step %s: %s", f"{trainer.global_step:,}", error)
        trainer.strategy.barrier("samples are generated")

    def _generate_and_log(self, trainer: L.Trainer, network: DiaNetwork) -> None:
        with isolate_rng():
            speech = self._generate(network)
            pictures = [
                text_attention(network, script, take.codes_TC).picture()
                for script, take in zip(self.scripts, speech, strict=True)
            ]
            metrics, not_measured = self.score(speech)
        self.metrics = metrics
        self._log(trainer, metrics, speech, pictures)
        self._report(not_measured)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of validations, so that a resumed run generates at the same steps."""
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of validations."""
        self.validations = state_dict["validations"]

    def _generate(self, network: DiaNetwork) -> list[Speech]:
        training = network.training
        network.eval()
        seeds = list(range(len(self.scripts)))
        try:
            # layers compiled for training would be compiled again for every length
            with torch.compiler.set_stance("force_eager"):
                return Synthesizer(network, self.codec).synthesize(
                    self.scripts, seeds, self.sampling, self.max_tokens
                )
        finally:
            network.train(training)

    def _log(
        self,
        trainer: L.Trainer,
        metrics: dict[str, float],
        speech: list[Speech],
        pictures: list[NDArray[np.uint8]],
    ) -> None:
        named = {f"validation/{name}": value for name, value in metrics.items()}
        for metrics_logger in trainer.loggers:
            metrics_logger.log_metrics(named, step=trainer.global_step)
            log_audio(metrics_logger, self.scripts, speech, pictures, trainer.global_step)
        store_samples(self.folder, trainer.global_step, self.scripts, speech, pictures, named)

    def _report(self, not_measured: dict[str, str]) -> None:
        """Log once which metrics are missing, grouped by reason."""
        names_by_reason: dict[str, list[str]] = {}
        for name, reason in not_measured.items():
            if name not in self.reported:
                self.reported.add(name)
                names_by_reason.setdefault(reason, []).append(f"validation/{name}")
        for reason, names in names_by_reason.items():
            logger.info("not measured: %s (%s)", ", ".join(names), reason)


def unsharded_network(network: DiaNetwork, *, needed_here: bool) -> DiaNetwork | None:
    """Return the network with all of its weights on ranks with ``needed_here``, None on the others.

    Every rank must call it. Without sharding it is the network itself; else a new one from the gathered
    weights, with adapters merged.
    """
    if not is_sharded(network):
        return network if needed_here else None
    state = whole_state(network)
    if not needed_here:
        return None
    adapter = next((module for module in network.modules() if isinstance(module, LoraLinear)), None)
    if adapter is not None:
        state = merge_tensors(state, adapter.scale)
    with torch.device("meta"):
        copy = DiaNetwork(network.config)
    copy.load_state_dict(state, assign=True)
    return copy.to(next(network.parameters()).device)
