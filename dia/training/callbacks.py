"""What happens beside training: the model is saved for use, and speaks fixed scripts so that one can hear it learn."""

from collections.abc import Callable

import lightning as L
import numpy as np
from lightning.pytorch.loggers import WandbLogger

from dia.inference import Sampling, Speech, Synthesizer
from dia.training.dia_task import DiaTask
from dia.training.early_stop import EarlyStop
from dia.training.export import Exporter
from dia.training.parallel import whole_state

WordErrorRate = Callable[[list[str], list[Speech]], float]


class SaveModel(L.Callback):
    """Exports the model after every validation; with ``stop``, which must come before it, only when this was the best."""

    def __init__(self, export: Exporter, stop: EarlyStop | None = None) -> None:
        self.export, self.stop = export, stop

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save on rank 0, which the others may have to give their shards; the sanity check before training saves nothing."""
        assert isinstance(task, DiaTask)
        if trainer.sanity_checking or (self.stop is not None and not self.stop.improved):
            return
        state = whole_state(task.network)
        if trainer.is_global_zero:
            self.export(task.network.config, state)


class SpeakScripts(L.Callback):
    """Speaks fixed scripts after every ``every``-th validation; logs WER, missed-EOS rate, and to W&B sound and scripts.

    ``word_error_rate`` scores what was spoken; it is given by the front door, which knows the evaluation.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        scripts: list[str],
        sampling: Sampling,
        max_tokens: int,
        every: int,
        word_error_rate: WordErrorRate,
    ) -> None:
        self.synthesizer, self.scripts, self.sampling = synthesizer, scripts, sampling
        self.max_tokens, self.every, self.word_error_rate = max_tokens, every, word_error_rate
        self.validations = 0

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Speak with the weights as they are and log."""
        if trainer.sanity_checking or not trainer.is_global_zero or not self.scripts:
            return
        self.validations += 1
        if self.validations % self.every:
            return
        training = self.synthesizer.network.training
        self.synthesizer.network.eval()
        seeds = list(range(len(self.scripts)))
        spoken = self.synthesizer.speak(self.scripts, seeds, self.sampling, self.max_tokens)
        self.synthesizer.network.train(training)
        figures = {
            "validation/wer": self.word_error_rate(self.scripts, spoken),
            "validation/missed_eos": float(np.mean([not speech.ended for speech in spoken])),
        }
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
            if isinstance(logger, WandbLogger):
                log_sound(logger, self.scripts, spoken, trainer.global_step)


def log_sound(logger: WandbLogger, scripts: list[str], spoken: list[Speech], step: int) -> None:
    """Log a table of scripts with their sound to W&B; an empty wave is written as one silent sample."""
    import wandb

    table = wandb.Table(columns=["script", "seed", "seconds", "ended", "audio"])
    for script, speech in zip(scripts, spoken, strict=True):
        wave = speech.wave if len(speech.wave) else np.zeros(1, dtype=np.float32)
        audio = wandb.Audio(np.clip(wave, -1, 1), sample_rate=speech.sample_rate)
        table.add_data(script, speech.seed, len(speech.wave) / speech.sample_rate, speech.ended, audio)
    logger.experiment.log({"validation/speech": table, "trainer/global_step": step})
