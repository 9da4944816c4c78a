"""Lightning module that trains the spectral codec in two stages: first its codes, then its flow refiner.

Stage one is a regression of log magnitudes by encoder, quantizer and decoder. In stage two these three are
frozen, so that the codes of a data set stay valid, while the flow learns the detail that the regression
smooths away; the EMA of its weights is what is saved, as is usual for diffusion models. If only the decoder
of an existing codec is trained further, encoder and quantizer are frozen in stage one too.

A run of its own distills the flow to one Euler step: the student learns the spectra that the flow of many
steps ends at. The start is noise that is a function of the codes, so that it has one right answer for each
start (as in rectified flow's reflow, arXiv 2209.03003), and a regression does not blur it.

Legend: B batch, L samples, F frames, K frequency bins, M latent dimensions, T codec frames, W features.
"""

import copy
from dataclasses import replace
from typing import cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dia.codecs.flow_refiner import RESIDUAL_SCALE, DetailFlow, frequency_weights
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.codec import CodecTraining
from dia.config.optimizer import ScheduleConfig
from dia.training.schedule import share_at

MAX_GRAD_NORM = 10.0


class CodecModule(L.LightningModule):
    """Trains a :class:`SpectralNetwork` with manual optimization: one optimizer for each stage."""

    weights_K: Tensor

    def __init__(
        self, network: SpectralNetwork, training: CodecTraining, schedule: ScheduleConfig, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.training_config, self.schedule, self.seed = network, training, schedule, seed
        self.codes_frozen = bool(training.finetune_decoder_of)
        self.teacher: DetailFlow | None = None
        if training.distill_refiner_of:
            self.teacher = copy.deepcopy(network.detail).requires_grad_(False)
            network.config = replace(network.config, detail_steps=1)
        # its name is part of the checkpoint format
        self.averaged = AveragedModel(network.detail, multi_avg_fn=get_ema_multi_avg_fn(training.ema_decay))
        weights_K = frequency_weights(network.config.n_fft // 2 + 1, network.config.sample_rate)
        self.register_buffer("weights_K", weights_K, persistent=False)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW for the codes and AdamW for the flow."""
        network, learning_rate = self.network, self.training_config.learning_rate
        trained = (
            [network.decoder] if self.codes_frozen else [network.encoder, network.quantizer, network.decoder]
        )
        return [
            torch.optim.AdamW(nn.ModuleList(trained).parameters(), lr=learning_rate, betas=(0.8, 0.99)),
            torch.optim.AdamW(network.detail.parameters(), lr=learning_rate, betas=(0.9, 0.99)),
        ]

    def training_step(self, waveform_BL: Tensor, index: int) -> None:
        """Run one step on waveforms (B, L) in -1..1."""
        codes_optimizer, flow_optimizer = cast(list[torch.optim.Optimizer], self.optimizers())
        step = self.global_step
        torch.manual_seed(self.seed + step)  # a resumed run draws the same numbers
        first_stage = self.teacher is None and step < self.training_config.refiner_start
        losses = self._codes_losses(waveform_BL) if first_stage else self._refiner_losses(waveform_BL)
        optimizer = codes_optimizer if first_stage else flow_optimizer
        rate = learning_rate(step, self.training_config, self.schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = torch.stack(list(losses.values())).sum()
        self._optimize(loss, optimizer)
        if not first_stage:
            self.averaged.update_parameters(self.network.detail)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        self.log_dict({"train/loss": loss.detach(), "train/learning_rate": rate}, prog_bar=True, logger=False)

    def finished_network(self) -> SpectralNetwork:
        """Return the network with the averaged weights of its flow."""
        self.network.detail.load_state_dict(self.averaged.module.state_dict())
        return self.network

    def _codes_losses(self, waveform_BL: Tensor) -> dict[str, Tensor]:
        network, weights = self.network, self.training_config.weights
        target_BFK = network.log_magnitudes(waveform_BL)
        if self.codes_frozen:
            network.quantizer.eval()
        with torch.set_grad_enabled(not self.codes_frozen):
            latents_BMT, commitment, codebook = self._quantized(waveform_BL)
        predicted_BFK = network.decoder(latents_BMT)[1]
        losses = {
            "magnitude": weights.magnitude * (predicted_BFK - target_BFK).abs().mean(),
            # the square root of the magnitude approximates loudness, so loud parts count most
            "loudness": weights.loudness * ((predicted_BFK / 2).exp() - (target_BFK / 2).exp()).abs().mean(),
        }
        if self.codes_frozen:
            return losses
        return losses | {
            "commitment": weights.commitment * commitment,
            "codebook": weights.codebook * codebook,
        }

    def _refiner_losses(self, waveform_BL: Tensor) -> dict[str, Tensor]:
        self.network.quantizer.eval()  # all codebooks: quantizer dropout belongs to stage one
        if self.teacher is not None:
            return {"distillation": self._distillation_loss(waveform_BL, self.teacher)}
        with torch.no_grad():
            features_BFW, mean_BFK = self.network.decoder(self._quantized(waveform_BL)[0])
            target_BFK = self.network.log_magnitudes(waveform_BL)
        return {"detail": self.network.detail.loss(target_BFK, features_BFW, mean_BFK, self.weights_K)}

    def _distillation_loss(self, waveform_BL: Tensor, teacher: DetailFlow) -> Tensor:
        """Return the squared difference of one step of the student from all steps of the teacher."""
        network, steps = self.network, self.training_config.teacher_steps
        with torch.no_grad():
            codes_BTC = network.encode(waveform_BL)
            latents_BMT = network.quantizer.from_codes(codes_BTC.transpose(1, 2))[0]
            features_BFW, mean_BFK = network.decoder(latents_BMT)
            start_BFK = network.config.detail_noise * network.noise(codes_BTC)
            target_BFK = teacher.sharpen(features_BFW, mean_BFK, start_BFK, steps)
        made_BFK = network.detail.sharpen(features_BFW, mean_BFK, start_BFK, 1)
        difference_BFK = (made_BFK - target_BFK).float() / RESIDUAL_SCALE
        loss: Tensor = (difference_BFK.square() * self.weights_K).mean()
        return loss

    def _quantized(self, waveform_BL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return quantized latents and the commitment and codebook losses; fp32, else codes change."""
        with torch.autocast(self.device.type, enabled=False):
            latents_BMT, _, _, commitment, codebook = self.network.quantizer(
                self.network.encoder(waveform_BL)
            )
        return latents_BMT, commitment, codebook

    def _optimize(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        nn.utils.clip_grad_norm_(weights, MAX_GRAD_NORM)
        optimizer.step()


def learning_rate(step: int, training: CodecTraining, schedule: ScheduleConfig) -> float:
    """Return the learning rate at a step; each stage has its own schedule."""
    begin, end = 0, training.steps
    if not training.distill_refiner_of:
        split = training.refiner_start
        begin, end = (0, split) if step < split else (split, training.steps)
    return training.learning_rate * share_at(step - begin, end - begin, schedule)
