"""Lightning task that trains the spectral codec: reconstruction first, then against dac's discriminators.

In the adversarial stage the encoder and the quantizer stand still, so the codes of a data set stay valid while the
decoder learns to sound less buzzy. Losses see the same second of sound; the discriminators, which cost ten times what
the codec costs, see a part of it.

Legend: B batch, L samples.
"""

from dataclasses import dataclass, field
from typing import cast

import lightning as L
import torch
from torch import Tensor, nn

from dia.audio.pitch import yin
from dia.audio.spectral import SpectralNetwork
from dia.training.codec_losses import (
    LossWeights,
    ReconstructionLoss,
    adversarial_losses,
    as_signal,
    pitch_loss,
    random_crop,
)


@dataclass
class CodecTraining:
    """How the codec is trained. Steps are batches."""

    steps: int = 5000
    adversarial_from: int = 1500
    clips: int = 12
    """Clips of a batch."""
    samples: int = 16_000
    """Samples of a clip."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    warmup_steps: int = 100
    adversarial_learning_rate: float = 4e-4
    adversarial_final_learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    discriminator_crop: int = 8000
    """Samples of each clip that the discriminators see."""
    discriminator_clips: int = 8
    """Clips of each batch that the discriminators see."""
    discriminator_precision: str = "bf16"
    """``bf16`` or ``32``: the precision of the discriminators' convolutions."""
    periods: list[int] = field(default_factory=lambda: [3])
    fft_sizes: list[int] = field(default_factory=lambda: [1024, 512, 256])
    weights: LossWeights = field(default_factory=LossWeights)
    seed: int = 0


class CodecTask(L.LightningModule):
    """Trains a :class:`SpectralNetwork`; two optimizers, stepped by hand."""

    steps_done: Tensor

    def __init__(self, network: SpectralNetwork, training: CodecTraining) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.training_config = network, training
        rate = network.config.sample_rate
        self.reconstruction = ReconstructionLoss(rate, training.weights)
        self.adversary = adversarial_losses(rate, training.periods, training.fft_sizes)
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the codec and for the discriminators, with the momentum that adversarial training wants."""
        return [
            torch.optim.AdamW(self.network.parameters(), lr=self.training_config.learning_rate, betas=(0.8, 0.99)),
            torch.optim.AdamW(
                self.adversary.parameters(), lr=self.training_config.discriminator_learning_rate, betas=(0.8, 0.99)
            ),
        ]

    def training_step(self, wave_BL: Tensor, index: int) -> None:
        """One step on waves (B, L) in -1..1."""
        codec_optimizer, discriminator_optimizer = cast(list[torch.optim.Optimizer], self.optimizers())
        step = int(self.steps_done)
        adversarial = step >= self.training_config.adversarial_from
        for group in codec_optimizer.param_groups:
            group["lr"] = learning_rate(step, self.training_config)
        if adversarial:
            logged = self._adversarial_step(wave_BL, codec_optimizer, discriminator_optimizer)
        else:
            logged = self._reconstruction_step(wave_BL, codec_optimizer)
        self.steps_done += 1
        self.log_dict({f"train/{name}": value for name, value in logged.items()}, prog_bar=True)

    def _reconstruction_step(self, wave_BL: Tensor, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        network, weights = self.network, self.training_config.weights
        pitch_BF, voiced_BF = yin(wave_BL, network.config.sample_rate, network.config.hop)
        latents_BMT, _, _, commitment, codebook = network.quantizer(network.encoder(wave_BL))
        made_BL, log_pitch_BF = network.decoder(latents_BMT, pitch_BF * voiced_BF)
        reconstruction = self.reconstruction(made_BL, wave_BL)
        pitch = pitch_loss(log_pitch_BF, pitch_BF, voiced_BF)
        total = reconstruction + weights.pitch * pitch + weights.commitment * commitment + weights.codebook * codebook
        self._descend(total, optimizer, network)
        return {"reconstruction": reconstruction.detach(), "commitment": commitment.detach(), "pitch": pitch.detach()}

    def _adversarial_step(
        self, wave_BL: Tensor, optimizer: torch.optim.Optimizer, discriminator_optimizer: torch.optim.Optimizer
    ) -> dict[str, Tensor]:
        training, rate = self.training_config, self.network.config.sample_rate
        with torch.no_grad():
            codes_BTC = self.network.eval().encode(wave_BL)
            latents_BMT = self.network.quantizer.from_codes(codes_BTC.transpose(1, 2))[0]
        self.network.train()
        pitch_BF, voiced_BF = yin(wave_BL, rate, self.network.config.hop)
        made_BL, log_pitch_BF = self.network.decoder(latents_BMT)
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + int(self.steps_done))
        clips = training.discriminator_clips
        made, real = random_crop((made_BL[:clips], wave_BL[:clips]), training.discriminator_crop, generator)

        with self._discriminator_autocast():
            against = self.adversary.discriminator_loss(as_signal(made.detach(), rate), as_signal(real, rate))
        self._descend(against, discriminator_optimizer, self.adversary)

        with self._discriminator_autocast():
            fooling, feature = self.adversary.generator_loss(as_signal(made, rate), as_signal(real, rate))
        reconstruction = self.reconstruction(made_BL, wave_BL)
        pitch = training.weights.pitch * pitch_loss(log_pitch_BF, pitch_BF, voiced_BF)
        total = reconstruction + pitch + training.weights.adversarial * fooling + training.weights.feature * feature
        self._descend(total, optimizer, self.network.decoder)
        logged = {"reconstruction": reconstruction, "discriminator": against, "generator": fooling, "feature": feature}
        return {name: value.detach() for name, value in logged.items()}

    def _discriminator_autocast(self) -> torch.autocast:
        enabled = self.training_config.discriminator_precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, module: nn.Module) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(module.parameters(), 10.0)
        optimizer.step()


def learning_rate(step: int, training: CodecTraining) -> float:
    """Learning rate of the codec's optimizer: warm-up, then a cosine in each of the two stages."""
    if step >= training.adversarial_from:
        first, last = training.adversarial_learning_rate, training.adversarial_final_learning_rate
        done = (step - training.adversarial_from) / max(training.steps - training.adversarial_from, 1)
        return last + (first - last) * _cosine(done)
    first, last = training.learning_rate, training.final_learning_rate
    done = step / max(training.adversarial_from, 1)
    return min(1.0, (step + 1) / training.warmup_steps) * (last + (first - last) * _cosine(done))


def _cosine(done: float) -> float:
    return float(0.5 * (1 + torch.cos(torch.tensor(min(done, 1.0) * torch.pi))))
