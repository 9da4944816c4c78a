"""The files of a saved model that other tools read: transformers' processor, and the model card.

transformers' processor decodes with a DAC of the Hub and the delays of Dia-1.6B (transformers 5.23,
`models/dia/processing_dia.py`). A model with another codec or other delays has no processor files; its
tokenizer opens all the same.
"""

from typing import Any

from dia.checkpoint.codec import CodecReference
from dia.checkpoint.transformers_layout import unsupported_sampling
from dia.codecs.registry import codec_shape
from dia.config.model import DIA_DELAYS
from dia.network import DiaConfig

# the codec that transformers' processor assumes, and its weights on the Hub in transformers' layout
DAC, DAC_ON_HUB = "dac_44khz", "descript/dac_44khz"
GENERATED_TITLE = "# Dia"
FRONT_MATTER = """\
---
library_name: {library}
pipeline_tag: text-to-speech
tags:
- dia
- text-to-speech
---
"""
IN_PYTHON = """\
```python
from dia import Dia

dia = Dia.from_pretrained("FOLDER")
dia.save_audio("hello.wav", dia.generate("[S1] Hello there. [S2] Hello!", seed=1))
```
"""
IN_TRANSFORMERS = """\
```python
from transformers import AutoProcessor, DiaForConditionalGeneration

processor = AutoProcessor.from_pretrained("FOLDER")
model = DiaForConditionalGeneration.from_pretrained("FOLDER")
inputs = processor(text=["[S1] Hello there. [S2] Hello!"], padding=True, return_tensors="pt")
outputs = model.generate(**inputs)
processor.save_audio(processor.batch_decode(outputs), "hello.wav")
```
"""
FIRST_GENERATION = """\
This model is of the first generation of Dia: its cross-attention has rotary positions, and that of
transformers' Dia has none. transformers would speak wrongly with these weights, so they have a name that it
does not open.
"""


def has_processor(config: DiaConfig, codec: CodecReference | None) -> bool:
    """Return whether transformers' processor decodes what a model generates."""
    return codec is not None and codec.name == DAC and tuple(config.delays) == DIA_DELAYS


def processor_files(config: DiaConfig, codec: CodecReference | None) -> dict[str, dict[str, Any]]:
    """Return the content of the JSON files of transformers' tokenizer and processor by file name."""
    files: dict[str, dict[str, Any]] = {
        "tokenizer_config.json": {
            "tokenizer_class": "DiaTokenizer",
            "processor_class": "DiaProcessor",
            "pad_token": "<pad>",
            "unk_token": "<pad>",
            "max_length": config.encoder.max_positions,
            "model_max_length": config.encoder.max_positions,
            "offset": 0,
        }
    }
    if not has_processor(config, codec):
        return files
    shape = codec_shape(DAC)
    assert shape is not None
    files["preprocessor_config.json"] = {
        "feature_extractor_type": "DiaFeatureExtractor",
        "processor_class": "DiaProcessor",
        "feature_size": 1,
        "sampling_rate": shape.sample_rate,
        "hop_length": shape.hop,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
    }
    files["processor_config.json"] = {
        "processor_class": "DiaProcessor",
        "audio_tokenizer": {
            "audio_tokenizer_class": "DacModel",
            "audio_tokenizer_name_or_path": DAC_ON_HUB,
        },
    }
    return files


def model_card(config: DiaConfig, codec: CodecReference | None, sampling: dict[str, Any]) -> str:
    """Return the model card of a saved model, in which `FOLDER` stands for its folder."""
    title = f"{FRONT_MATTER.format(library=library(config))}\n{GENERATED_TITLE}\n"
    parts = [title, describe_model(config, codec, sampling), how_to_use(config, codec, sampling)]
    return "\n".join(parts)


def library(config: DiaConfig) -> str:
    """Return the library that the Hub shows for a model."""
    return "dia-framework" if config.cross_rope else "transformers"


def how_to_use(
    config: DiaConfig, codec: CodecReference | None, sampling: dict[str, Any], name: str = "FOLDER"
) -> str:
    """Return the sections on how the model called ``name`` is opened, and what transformers ignores."""
    parts = ["## Use\n", "With dia-framework:\n", IN_PYTHON.replace("FOLDER", name)]
    if config.cross_rope:
        return "\n".join([*parts, "## transformers\n", FIRST_GENERATION])
    if has_processor(config, codec):
        parts += ["With transformers:\n", IN_TRANSFORMERS.replace("FOLDER", name)]
    return "\n".join([*parts, "## What transformers does not honour\n", _limits(config, codec, sampling)])


def describe_model(config: DiaConfig, codec: CodecReference | None, sampling: dict[str, Any]) -> str:
    """Return a paragraph about the architecture, the codec and the sampling values."""
    encoder, decoder = config.encoder, config.decoder
    name = codec.name if codec else "not named"
    values = ", ".join(f"{key} {value}" for key, value in sampling.items() if value is not None)
    return (
        "A text-to-dialogue speech model with the architecture of Dia-1.6B (Nari Labs): a byte encoder of "
        f"{encoder.layers} layers of {encoder.hidden_size}, a decoder of {decoder.layers} layers of "
        f"{decoder.hidden_size}, {config.channels} codec channels of {decoder.codebook_size} codes with the "
        f"delays {', '.join(map(str, config.delays))}.\n\n"
        f"- Codec: {name}\n- Sampling: {values}\n"
    )


def _limits(config: DiaConfig, codec: CodecReference | None, sampling: dict[str, Any]) -> str:
    lines = unsupported_sampling(sampling)
    if not has_processor(config, codec):
        lines.append(
            "The codec: transformers' processor decodes with the DAC of 44.1 kHz and the delays of Dia-1.6B "
            "only, so this folder has no processor files. `DiaForConditionalGeneration` generates codes, and "
            "`AutoTokenizer` opens the tokenizer."
        )
    lines.append(
        "Settings that you pass yourself: transformers raises temperatures below 1 to 1, requires a "
        "`guidance_scale` above 1, and draws a batch from one stream of random numbers."
    )
    return "".join(f"- {line}\n" for line in lines)
