"""Lightning task that trains the spectral codec: first its codes, then the detail of its sound.

Stage one is a regression: encoder, quantizer and decoder learn log magnitudes. In stage two the encoder, the
quantizer and the decoder stand still, so the codes of a data set stay valid, while the flow learns what the
regression smoothed away; the average of its weights is what is kept (as diffusion models are trained). Where
only the decoder learns on, encoder and quantizer stand still in stage one too.

Legend: B batch, L samples, F frames, K frequency bins.
"""

from typing import cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dia.codecs.flow_refiner import frequency_weights
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.codec import CodecTraining
from dia.config.optimizer import ScheduleConfig
from dia.training.schedule import share_at


class CodecModule(L.LightningModule):
    """Trains a :class:`SpectralNetwork`; two optimizers, stepped by hand, one for each stage."""

    weights_K: Tensor

    def __init__(
        self, network: SpectralNetwork, training: CodecTraining, schedule: ScheduleConfig, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.training_config, self.schedule, self.seed = network, training, schedule, seed
        self.keeps_codes = bool(training.finetune_decoder_of)
        self.averaged = AveragedModel(network.detail, multi_avg_fn=get_ema_multi_avg_fn(training.ema_decay))
        weights_K = frequency_weights(network.config.n_fft // 2 + 1, network.config.sample_rate)
        self.register_buffer("weights_K", weights_K, persistent=False)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the codes and for the detail."""
        network = self.network
        learning = (
            [network.decoder] if self.keeps_codes else [network.encoder, network.quantizer, network.decoder]
        )
        coders = nn.ModuleList(learning)
        return [
            torch.optim.AdamW(coders.parameters(), lr=self.training_config.learning_rate, betas=(0.8, 0.99)),
            torch.optim.AdamW(
                self.network.detail.parameters(), lr=self.training_config.learning_rate, betas=(0.9, 0.99)
            ),
        ]

    def training_step(self, waveform_BL: Tensor, index: int) -> None:
        """One step on waveforms (B, L) in -1..1."""
        codes_optimizer, detail_optimizer = cast(list[torch.optim.Optimizer], self.optimizers())
        step = self.global_step
        torch.manual_seed(self.seed + step)  # a run that goes on draws what it would have drawn
        if step < self.training_config.refiner_start:
            losses, optimizer = self._codes_losses(waveform_BL), codes_optimizer
        else:
            losses, optimizer = self._detail_losses(waveform_BL), detail_optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, self.training_config, self.schedule)
        self._descend(torch.stack(list(losses.values())).sum(), optimizer)
        if optimizer is detail_optimizer:
            self.averaged.update_parameters(self.network.detail)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()}, prog_bar=True)

    def finished_network(self) -> SpectralNetwork:
        """Return the network with the averaged weights of its flow in place."""
        self.network.detail.load_state_dict(self.averaged.module.state_dict())
        return self.network

    def _codes_losses(self, waveform_BL: Tensor) -> dict[str, Tensor]:
        network, weights = self.network, self.training_config.weights
        true_BFK = network.log_magnitudes(waveform_BL)
        if self.keeps_codes:
            network.quantizer.eval()
        with torch.set_grad_enabled(not self.keeps_codes):
            latents_BMT, commitment, codebook = self._quantized(waveform_BL)
        made_BFK = network.decoder(latents_BMT)[1]
        losses = {
            "magnitude": weights.magnitude * (made_BFK - true_BFK).abs().mean(),
            # what is loud counts most: the square root of the magnitude is about its loudness
            "loudness": weights.loudness * ((made_BFK / 2).exp() - (true_BFK / 2).exp()).abs().mean(),
        }
        if self.keeps_codes:
            return losses
        return losses | {
            "commitment": weights.commitment * commitment,
            "codebook": weights.codebook * codebook,
        }

    def _detail_losses(self, waveform_BL: Tensor) -> dict[str, Tensor]:
        self.network.quantizer.eval()  # all codebooks: its dropout belongs to stage one
        with torch.no_grad():
            features_BFW, mean_BFK = self.network.decoder(self._quantized(waveform_BL)[0])
            true_BFK = self.network.log_magnitudes(waveform_BL)
        return {"detail": self.network.detail.loss(true_BFK, features_BFW, mean_BFK, self.weights_K)}

    def _quantized(self, waveform_BL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantized latents, commitment and codebook loss. In full precision: halves would choose other
        codes.
        """
        with torch.autocast(self.device.type, enabled=False):
            latents_BMT, _, _, commitment, codebook = self.network.quantizer(
                self.network.encoder(waveform_BL)
            )
        return latents_BMT, commitment, codebook

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(
            [weight for group in optimizer.param_groups for weight in group["params"]], 10.0
        )
        optimizer.step()


def learning_rate(step: int, training: CodecTraining, schedule: ScheduleConfig) -> float:
    """Return the learning rate at a step: each of the two stages has a schedule of its own steps."""
    begin, end = (
        (0, training.refiner_start)
        if step < training.refiner_start
        else (training.refiner_start, training.steps)
    )
    return training.learning_rate * share_at(step - begin, end - begin, schedule)
