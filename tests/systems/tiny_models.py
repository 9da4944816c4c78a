"""Models of other systems with tiny random weights, saved in the layouts of the real checkpoints."""

import json

import torch
from snac import SNAC
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CsmConfig,
    CsmForConditionalGeneration,
    CsmProcessor,
    DacConfig,
    DacModel,
    DiaConfig,
    DiaFeatureExtractor,
    DiaForConditionalGeneration,
    DiaProcessor,
    DiaTokenizer,
    EncodecFeatureExtractor,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from dia.systems import orpheus

# the chat template of sesame/csm-1b: [role]text between its markers, then a placeholder for the audio
TEMPLATE = """{%- for message in messages %}{{ '<|begin_of_text|>[' + message['role'] + ']' }}
{%- for part in message['content'] %}{%- if part['type'] == 'text' %}{{ part['text'] + '<|end_of_text|>' }}
{%- else %}{{ '<|AUDIO|><|audio_eos|>' }}{%- endif %}{%- endfor %}{%- endfor %}"""
CODES = [[7], [11, 12], [21, 22, 23, 24]]  # of each frame that the tiny Orpheus generates, by level


def bytes_tokenizer(*special):
    """Return a byte-level tokenizer with special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def save_csm(folder):
    torch.manual_seed(0)
    special = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_tokenizer(*special),
        bos_token=special[0],
        eos_token=special[1],
        pad_token=special[1],
    )
    begin, end, audio, audio_end = (tokenizer.convert_tokens_to_ids(token) for token in special)
    shape = {
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
    }
    # random weights may sample any token, so the codec covers all of them; real models have three more
    config = CsmConfig(
        num_codebooks=4,
        vocab_size=64,
        text_vocab_size=len(tokenizer),
        hidden_size=32,
        pad_token_id=end,
        bos_token_id=begin,
        eos_token_id=end,
        audio_token_id=audio,
        audio_eos_token_id=audio_end,
        codebook_pad_token_id=63,
        codebook_eos_token_id=0,
        max_position_embeddings=512,
        **shape,
        depth_decoder_config={
            "num_codebooks": 4,
            "backbone_hidden_size": 32,
            "vocab_size": 64,
            "hidden_size": 32,
            "max_position_embeddings": 5,
            **shape,
        },
        codec_config={
            "model_type": "mimi",
            "hidden_size": 32,
            "num_filters": 4,
            "codebook_size": 64,
            "codebook_dim": 16,
            "num_quantizers": 4,
            "vector_quantization_hidden_dimension": 16,
            "upsample_groups": 32,
            "num_hidden_layers": 1,
            "intermediate_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
        },
    )
    network = CsmForConditionalGeneration(config).eval()
    for name, buffer in network.named_buffers():
        if name.endswith(
            "embed_sum"
        ):  # zero in a new codec, so that all codes would decode to the same audio
            buffer.normal_()
    network.save_pretrained(folder)
    features = EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000)
    CsmProcessor(features, tokenizer, chat_template=TEMPLATE).save_pretrained(folder)


def save_dia(folder):
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32, "head_dim": 16}
    config = DiaConfig(
        encoder_config={**shape, "num_attention_heads": 2, "num_key_value_heads": 2},
        decoder_config={
            **shape,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "cross_num_attention_heads": 2,
            "cross_head_dim": 16,
            "cross_num_key_value_heads": 2,
            "cross_hidden_size": 32,
        },
    )
    DiaForConditionalGeneration(config).eval().save_pretrained(folder)
    codec = DacModel(
        DacConfig(
            encoder_hidden_size=4,
            decoder_hidden_size=32,
            downsampling_ratios=[2, 4, 8, 8],
            sampling_rate=44_100,
        )
    ).eval()
    codec.save_pretrained(folder.parent / "dac")
    codec = DacModel.from_pretrained(folder.parent / "dac")
    DiaProcessor(DiaFeatureExtractor(sampling_rate=44_100), DiaTokenizer(), codec).save_pretrained(folder)


def save_orpheus(folder, codec_folder):
    """Save a language model that repeats one frame of codes after any prompt."""
    PreTrainedTokenizerFast(tokenizer_object=bytes_tokenizer("<|begin_of_text|>")).save_pretrained(folder)
    frame = [CODES[0][0], CODES[1][0], CODES[2][0], CODES[2][1], CODES[1][1], CODES[2][2], CODES[2][3]]
    cycle = [orpheus.FIRST_CODE + place * orpheus.BLOCK + code for place, code in enumerate(frame)]
    chain = [orpheus.END_OF_HUMAN, orpheus.START_OF_SPEECH, *cycle, cycle[0]]
    config = LlamaConfig(
        vocab_size=orpheus.FIRST_CODE + 7 * orpheus.BLOCK,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=False,
    )
    network = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        # each token's embedding is one dimension, which raises the logit of the next token
        for dimension, token in enumerate(chain[:-1]):
            network.model.embed_tokens.weight[token, dimension] = 1.0
            network.lm_head.weight[chain[dimension + 1], dimension] = 10.0
    network.save_pretrained(folder)
    save_snac(codec_folder)


def save_snac(folder):
    torch.manual_seed(0)
    config = {
        "sampling_rate": 24_000,
        "encoder_dim": 4,
        "encoder_rates": [2, 4],
        "decoder_dim": 16,
        "decoder_rates": [4, 2],
        "attn_window_size": None,
        "codebook_size": orpheus.BLOCK,
        "codebook_dim": 4,
        "vq_strides": [4, 2, 1],
        "noise": False,
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(SNAC(**config).state_dict(), folder / "pytorch_model.bin")
