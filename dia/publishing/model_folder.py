"""A checkpoint as a complete folder: weights, processor, codec, spoken samples and a card."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard

from dia.audio.files import flac_bytes
from dia.checkpoint import read_source
from dia.checkpoint.codec import CodecReference
from dia.checkpoint.locate import resolve_checkpoint
from dia.checkpoint.model_card import GENERATED_TITLE
from dia.checkpoint.names import CODEC_BESIDE
from dia.checkpoint.save import CARD, write_folder, write_model_files
from dia.checkpoint.source import Source
from dia.codecs.protocol import Codec
from dia.codecs.registry import codec_path, is_known_codec
from dia.config.hub import parse_hub_path
from dia.config.publishing import PushModelConfig
from dia.dialogue.examples import example_scripts
from dia.errors import UserError
from dia.files import make_folder, write_bytes, write_text
from dia.home import existing
from dia.model import Dia
from dia.publishing.model_card import CardContent, published_card
from dia.publishing.run_facts import evaluations_of, training_of
from dia.resources import SHIPPED_CODECS

SAMPLES = "samples"


@dataclass(frozen=True)
class Sample:
    """A script, its seed, and the file of its speech below the folder of the model."""

    script: str
    seed: int
    file: str


def write_model_folder(config: PushModelConfig, folder: Path) -> None:
    """Write everything that a repository of a model needs into ``folder``, atomically.

    Raises:
        UserError: As opening the checkpoint and its codec does, for a codec that is a single file, and for
            evaluations that are none.
    """
    name = str(resolve_checkpoint(config.path))
    evaluations = evaluations_of(existing(config.path), config.evaluations)
    training = training_of(existing(config.path))
    dia = Dia.from_pretrained(name, codec=config.codec or None)
    source = read_source(name)
    reference = published_reference(dia.codec)

    def write(temporary: Path) -> None:
        write_model_files(source, temporary, reference)
        _copy_codec(dia.codec, temporary / CODEC_BESIDE)
        samples = speak_samples(dia, config, temporary)
        content = CardContent(
            name=config.repo or folder.name,
            license=config.license,
            config=source.config,
            codec=reference,
            sampling=source.sampling,
            base=base_on_hub(source, training.base),
            training=training,
            evaluations=evaluations,
            samples=[(sample.script, sample.seed, sample.file) for sample in samples],
            vocabulary=source.vocabulary,
            own_card=own_card(source),
            on_hub=bool(config.repo),
        )
        write_text(temporary / CARD, published_card(content))

    write_folder(folder, write)


def own_card(source: Source) -> str:
    """Return the text of the card that lies beside the weights; empty for one that saving a model wrote."""
    card = source.located.weights[0].parent / CARD
    if not card.is_file():
        return ""
    content = card.read_text(encoding="utf-8", errors="replace")
    text = str(ModelCard(content, ignore_metadata_errors=True).text).strip()
    return "" if text.startswith(GENERATED_TITLE) else text


def published_reference(codec: Codec) -> CodecReference:
    """Return how a published model names its codec: by its public name, or as the folder beside it."""
    if is_known_codec(codec.name):
        return CodecReference(codec.name, codec.fingerprint)
    if not codec_path(codec.name).is_dir():
        raise UserError(
            f"the codec {codec.name} is a single file; name a published codec with codec=..., or the folder "
            "of one"
        )
    return CodecReference(CODEC_BESIDE, codec.fingerprint)


def base_on_hub(source: Source, base: str) -> str:
    """Return the name of the base model on the Hub; empty where it is not one of the Hub."""
    parsed = parse_hub_path(base) if base and not existing(base).exists() else None
    return parsed.repository if parsed else ""


def _copy_codec(codec: Codec, folder: Path) -> None:
    """Copy the folder of a codec, unless it is downloaded from its own publisher."""
    if is_known_codec(codec.name) and codec.name not in SHIPPED_CODECS:
        return
    make_folder(folder)
    for file in sorted(codec_path(codec.name).iterdir()):
        if file.is_file() and file.suffix in (".json", ".safetensors", ".md"):
            shutil.copyfile(file, folder / file.name)


def speak_samples(dia: Dia, config: PushModelConfig, folder: Path) -> list[Sample]:
    """Speak the scripts of the samples with the seeds 1, 2, ... into files below ``folder``.

    Raises :class:`UserError` for a script that the model cannot speak.
    """
    scripts = (config.scripts or example_scripts(dia.vocabulary))[: config.samples]
    samples = [Sample(script, seed, f"{SAMPLES}/{seed}.flac") for seed, script in enumerate(scripts, start=1)]
    if samples:
        make_folder(folder / SAMPLES)
    for sample in samples:
        speech = dia.generate(sample.script, seed=sample.seed)
        write_bytes(folder / sample.file, flac_bytes(speech, dia.codec.sample_rate))
    return samples
