import pytest
import torch
from omegaconf import OmegaConf

from dia.conf import TrainConfig, check_recipe_arguments, compose, quote_text, recipes, validate
from dia.errors import UserError
from dia.network import DiaNetwork


def typed(*overrides) -> TrainConfig:
    config = OmegaConf.to_object(compose("train", list(overrides)))
    assert isinstance(config, TrainConfig)
    return config


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_composes_validates_and_builds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = typed(f"+recipe={name}")
    validate(config)
    with torch.device("meta"):
        network = DiaNetwork(config.model)
    assert name != "base" or sum(parameter.numel() for parameter in network.parameters()) == 1_611_160_576


def test_the_command_line_wins_over_the_recipe():
    assert typed("+recipe=demo", "trainer.steps=7").trainer.steps == 7


@pytest.mark.parametrize("argument", ["+recipe=nope", "recipe=demo", "++recipe=demo"])
def test_wrong_recipes_list_what_exists(argument):
    with pytest.raises(UserError, match="base, codec_nano, demo, nano"):
        check_recipe_arguments([argument])


def test_all_problems_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        validate(
            typed(
                "trainer.steps=0",
                "data.demo.tag_rate=2",
                "sampling.top_p=0",
                "batch.text_dropout=1",
                "logger.wandb=maybe",
                "model.delays=[1]",
            )
        )
    wanted = ("trainer.steps=0", "data.demo.tag_rate=2", "top_p=0", "batch.text_dropout=1", "logger.wandb=maybe", "delays=[1]")
    assert all(key in str(caught.value) for key in wanted)


@pytest.mark.parametrize("text", ["[S1] Hi, you (laughs) [S2] {a}: b=c", 'say "no" twice', "it's 5 $ or ${x}"])
def test_free_text_reaches_the_config_as_typed(text):
    assert compose("generate", [quote_text(f"text={text}")]).text == text
