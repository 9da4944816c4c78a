"""nari's configuration classes: fields and defaults, both formats of config.json, no library at import."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from dia.config import DiaConfig
from dia.config.config_json import to_config_json, to_nested_config
from dia.config.model import DiaConfig as Shape
from dia.errors import UserError
from tests.conftest import TINY


def test_the_package_of_configurations_offers_the_class_without_importing_torch():
    code = (
        "import sys, dia.config; assert 'dia.config.nari' not in sys.modules\n"
        "from dia.config import DiaConfig, EncoderConfig, DecoderConfig\n"
        "assert not {'torch', 'numpy', 'hydra', 'yaml', 'pydantic'} & set(sys.modules)\n"
        "assert DiaConfig().decoder_config == DecoderConfig() and EncoderConfig().hidden_size == 1024"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'DiaConfigs'"):
        import dia.config

        dia.config.DiaConfigs  # noqa: B018


def test_the_defaults_are_those_of_dia():
    """nari-labs/dia 876125e, dia/config.py:24-170."""
    config = DiaConfig()
    assert config.shape() == Shape() and DiaConfig.of(Shape()) == config
    assert (config.eos_token_id, config.pad_token_id, config.bos_token_id) == (1024, 1025, 1026)
    assert config.decoder_config.vocab_size == 1028 and config.encoder_config.vocab_size == 256
    assert config.delay_pattern == [0, 8, 9, 10, 11, 12, 13, 14, 15]
    with pytest.raises(FrozenInstanceError):
        config.eos_token_id = 3
    with pytest.raises(FrozenInstanceError):
        config.decoder_config.vocab_size = 3


@pytest.mark.parametrize("first", [False, True])
def test_both_formats_are_read_and_what_is_saved_is_read_again(tmp_path, first):
    shape = replace(TINY, cross_rope=first, decoder=replace(TINY.decoder, max_positions=128))
    content = to_nested_config(shape) if first else to_config_json(shape, {})
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = DiaConfig.load(str(tmp_path / "config.json"))
    assert config.shape() == shape and config.cross_rope is first
    config.save(str(tmp_path / "new" / "config.json"))
    assert DiaConfig.load(tmp_path / "new" / "config.json") == config
    assert config.model_dump()["decoder_config"]["num_channels"] == 4


def test_a_missing_file_is_none_and_another_file_is_refused(tmp_path):
    assert DiaConfig.load(tmp_path / "nowhere.json") is None
    for text in ("", "[]", "{}", '{"model": 1, "data": 2}', '{"encoder_config": {}, "decoder_config": 3}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match=r"config\.json is not a Dia config"):
            DiaConfig.load(tmp_path / "config.json")
