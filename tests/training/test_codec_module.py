import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from dia.codecs.protocol import fingerprint
from dia.codecs.registry import codec_path
from dia.codecs.spectral import load_network
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.codec import INITIAL_CODECS, SpectralCodecConfig
from dia.config.compose import compose
from dia.config.optimizer import ScheduleConfig
from dia.data.codec_dataset import FULL_SCALE, SplitAudio, TrainingCrops
from dia.errors import UserError
from dia.pipelines.check_config import validate
from dia.pipelines.train_codec import initial_network
from dia.training.codec_module import CodecModule, CodecTraining, learning_rate
from tests.conftest import TINY_CODEC

SOUND = SplitAudio(
    (3_000 * np.random.default_rng(0).standard_normal(32_000)).astype(np.int16), np.array([[9_000, 9_100]])
)


def fresh_task(steps=6, refiner_start=3, **given):
    torch.manual_seed(0)
    training = CodecTraining(steps=steps, refiner_start=refiner_start, ema_decay=0.5, **given)
    return CodecModule(SpectralNetwork(TINY_CODEC), training, ScheduleConfig(2, 0.1), seed=0)


def train(task, folder, stop, checkpoint=None, start=0):
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_steps=stop,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    crops = TrainingCrops(SOUND, clips=2, samples=3_200, holding=1, seed=0, start=start, stop=stop)
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=checkpoint, weights_only=True)
    trainer.save_checkpoint(folder / f"{stop}.ckpt")
    return task


def changed(before, module):
    return any(not torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("pause", [2, 4])
def test_a_resumed_run_ends_in_the_same_weights(tmp_path, pause):
    whole = train(fresh_task(), tmp_path, 6)
    train(fresh_task(), tmp_path, pause)
    resumed = train(fresh_task(), tmp_path, 6, tmp_path / f"{pause}.ckpt", pause)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_stage_one_trains_the_codes_and_stage_two_does_not_change_them(tmp_path):
    task = fresh_task()
    first, flow = fingerprint(task.network.encoder, task.network.quantizer), copied(task.network.detail)
    train(task, tmp_path, 3)
    codes, decoder = fingerprint(task.network.encoder, task.network.quantizer), copied(task.network.decoder)
    assert codes != first and not changed(flow, task.network.detail)
    train(task, tmp_path, 6, tmp_path / "3.ckpt", 3)
    assert fingerprint(task.network.encoder, task.network.quantizer) == codes and not changed(
        decoder, task.network.decoder
    )
    assert changed(flow, task.network.detail)


def test_distillation_changes_the_flow_only_and_nears_the_teacher(tmp_path):
    task = fresh_task(steps=40, distill_refiner_of="a codec", learning_rate=3e-3)
    torch.nn.init.normal_(task.teacher.write.weight, std=0.2)  # a new flow moves nothing
    whole, flow = copied(task.network.decoder), copied(task.network.detail)
    waveform = torch.from_numpy(SOUND.waveform[:6_400].astype(np.float32) / FULL_SCALE)[None]
    task.network.eval()
    before = float(task._distillation_loss(waveform, task.teacher))
    train(task, tmp_path, 40)
    finished = task.finished_network().eval()
    assert not changed(whole, finished.decoder) and changed(flow, finished.detail)
    assert float(task._distillation_loss(waveform, task.teacher)) < 0.8 * before
    assert finished.config.detail_steps == 1


@pytest.mark.parametrize("pause", [2, 4])
def test_a_resumed_distillation_ends_in_the_same_weights(tmp_path, pause):
    whole = train(fresh_task(distill_refiner_of="a codec"), tmp_path, 6)
    train(fresh_task(distill_refiner_of="a codec"), tmp_path, pause)
    resumed = train(fresh_task(distill_refiner_of="a codec"), tmp_path, 6, tmp_path / f"{pause}.ckpt", pause)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_training_only_the_decoder_does_not_change_the_codes(tmp_path):
    task = fresh_task(finetune_decoder_of="a codec")
    codes, decoder = fingerprint(task.network.encoder, task.network.quantizer), copied(task.network.decoder)
    train(task, tmp_path, 3)
    assert fingerprint(task.network.encoder, task.network.quantizer) == codes and changed(
        decoder, task.network.decoder
    )


def test_training_continued_from_a_codec_changes_all_of_it(tmp_path):
    task = fresh_task(continue_from="a codec")
    networks = (task.network.encoder, task.network.quantizer, task.network.decoder, task.network.detail)
    before = [copied(network) for network in networks]
    train(task, tmp_path, 6)
    assert all(changed(*pair) for pair in zip(before, networks, strict=True))


@pytest.mark.parametrize("key", INITIAL_CODECS)
def test_a_run_starts_from_a_codec_whose_flow_was_distilled(key):
    config = compose("train", ["+recipe=codec_nano", f"codec_training.{key}=codec_nano"])
    validate(OmegaConf.to_object(config))
    other_shape = compose(
        "train", ["+recipe=codec_nano", f"codec_training.{key}=codec_nano", "spectral.mels=80"]
    )
    with pytest.raises(UserError, match=r"mels=100, spectral.mels is 80"):
        validate(OmegaConf.to_object(other_shape))


def test_the_initial_network_has_the_weights_of_the_codec_and_the_configured_steps():
    network = initial_network("codec_nano", SpectralCodecConfig(detail_steps=4))
    assert network.config.detail_steps == 4
    assert not changed(copied(load_network(codec_path("codec_nano"))), network)


def test_crops_contain_the_configured_share_of_nonverbals():
    waveform = np.zeros(64_000, np.int16)
    waveform[40_000:40_100] = FULL_SCALE
    crops = TrainingCrops(
        SplitAudio(waveform, np.array([[40_000, 40_100]])),
        clips=4,
        samples=640,
        holding=2,
        seed=0,
        start=0,
        stop=20,
    )
    held = torch.stack([batch.abs().amax(1) for batch in crops])
    assert held.max() == 1 and (held[:, :2] == 1).all() and held[:, 2:].mean() < 0.2
    again = TrainingCrops(crops.sound, 4, 640, 2, seed=0, start=7, stop=8)
    assert torch.equal(next(iter(again)), list(crops)[7])
    assert (
        len(next(iter(TrainingCrops(SplitAudio(waveform, np.zeros((0, 2), np.int64)), 4, 640, 2, 0, 0, 1))))
        == 4
    )


def test_the_finished_network_has_the_averaged_flow(tmp_path):
    task = train(fresh_task(), tmp_path, 6)
    averaged = copied(task.averaged.module)
    assert changed(averaged, task.network.detail)
    assert not changed(averaged, task.finished_network().detail)


def test_the_learning_rate_warms_up_and_decays_in_each_stage():
    training = CodecTraining(steps=200, refiner_start=100, learning_rate=1.0)
    rates = [learning_rate(step, training, ScheduleConfig(10, 0.1)) for step in range(200)]
    for stage in (rates[:100], rates[100:]):
        assert stage[0] == pytest.approx(0.1) and max(stage) > 0.97 and stage[-1] < 0.11


def test_all_problems_of_codec_training_are_reported_at_once():
    config = compose(
        "train",
        [
            "+recipe=codec_nano",
            "codec_training.steps=10",
            "codec_training.refiner_start=10",
            "codec_training.clip_samples=1000",
            "codec_training.nonverbal_fraction=2",
            "codec_training.finetune_decoder_of=nowhere",
            "codec_training.batch_size=0",
        ],
    )
    with pytest.raises(UserError) as caught:
        validate(OmegaConf.to_object(config))
    for part in (
        "refiner_start=10",
        "clip_samples=1000",
        "multiple of 640",
        "batch_size=0",
        "nonverbal_fraction=2",
        "finetune_decoder_of=nowhere",
    ):
        assert part in str(caught.value), part
