import pytest
import torch

from dia.config import compose as conf
from dia.config.compose import compose
from dia.config.recipes import chosen_recipes, recipes
from dia.config.train import RunConfig, TrainConfig
from dia.errors import UserError
from dia.network import DiaNetwork
from dia.pipelines.check_config import complete, validate


def typed(*overrides) -> RunConfig:
    config = complete(conf.typed(compose("train", list(overrides))))
    assert isinstance(config, RunConfig)
    return config


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_composes_validates_and_builds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    starts = (
        ["init_from=dia_nano"] if compose("train", [f"+recipe={name}"]).get("init_from") else []
    )  # no Hub in tests
    if name == "event_detector":
        starts = [f"event_detector.folder={tmp_path}"]
    if name in ("dpo", "rft"):
        starts += ["data.preferences.scripts=prepared/nano"]
    config = typed(f"+recipe={name}", *starts)
    validate(config)
    if not isinstance(config, TrainConfig):
        return
    with torch.device("meta"):
        network = DiaNetwork(config.model)
    assert name != "base" or sum(parameter.numel() for parameter in network.parameters()) == 1_611_160_576


def test_the_command_line_wins_over_the_recipe():
    assert typed("+recipe=demo", "trainer.steps=7").trainer.steps == 7


@pytest.mark.parametrize("argument", ["+recipe=nope", "recipe=demo", "++recipe=demo"])
def test_wrong_recipes_list_what_exists(argument):
    with pytest.raises(UserError, match="codec_nano, demo, dpo, emotion, event_detector, finetune"):
        chosen_recipes([argument])


def test_all_problems_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        validate(
            typed(
                "trainer.steps=0",
                "data.demo.tag_rate=2",
                "initializer_range=0",
                "dropout=1",
                "batch.code_dropout=1",
                "curriculum.epochs=1",
                "curriculum.shortest_fraction=0",
                "sampling.top_p=0",
                "batch.text_dropout=1",
                "model.delays=[1]",
            )
        )
    wanted = (
        "trainer.steps=0",
        "data.demo.tag_rate=2",
        "initializer_range=0",
        "  - dropout=1",
        "code_dropout=1",
        "shortest_fraction=0",
        "top_p=0",
        "batch.text_dropout=1",
        "delays=[1]",
    )
    assert all(key in str(caught.value) for key in wanted)


def test_dictionaries_take_the_users_keys():
    config = typed("mix={prepared/demo-1: 0.3}", "optim.weight_decay_by_group={head: 0.1}")
    assert config.mix == {"prepared/demo-1": 0.3} and config.optim.weight_decay_by_group == {"head": 0.1}


@pytest.mark.parametrize(
    "text", ["[S1] Hi, you (laughs) [S2] {a}: b=c", 'say "no" twice', "it's 5 $ or ${x}"]
)
def test_free_text_reaches_the_config_as_typed(text):
    assert compose("generate", [f"text={text}"]).text == text


def test_the_shape_is_that_of_the_checkpoint_and_contradictions_are_named():
    shape = typed("+recipe=finetune", "init_from=dia_nano").model
    assert (shape.decoder.layers, shape.delays, shape.cross_rope) == (5, [0, 1, 2, 3, 4, 5, 6, 7], False)
    assert shape == typed("+recipe=finetune", "init_from=dia_nano", "model=nano").model
    with pytest.raises(UserError) as caught:
        validate(
            typed(
                "+recipe=finetune",
                "init_from=dia_nano",
                "model.decoder.layers=6",
                "model.cross_rope=true",
                "trainer.steps=0",
            )
        )
    for part in (
        "model.decoder.layers=6 (it has 5)",
        "model.cross_rope=True (it has False)",
        "trainer.steps=0",
    ):
        assert part in str(caught.value), part
    with pytest.raises(UserError, match=r"contradicts model\.encoder\.layers=12"):
        validate(typed("+recipe=finetune", "init_from=dia_nano", "model=dia_1_6b"))


def test_what_training_starts_from_is_checked_with_the_rest():
    with pytest.raises(UserError, match="init_from is empty"):
        typed("model=checkpoint")
    for overrides, said in (
        (["lora.rank=4"], "lora.rank=4 needs a checkpoint"),
        (["objective=guided_distillation"], "objective=guided_distillation needs a checkpoint"),
        (
            ["+recipe=cfg_distill", "init_from=dia_nano", "sampling.cfg_scale=0"],
            "has no guidance that could be distilled",
        ),
        (
            ["+recipe=finetune", "init_from=./runs/nothing"],
            "init_from=./runs/nothing: there is no checkpoint at",
        ),
        (["schedule.warmup_fraction=.1"], "give one of them"),
        (["early_stopping.patience=-1", "ema.decay=1"], "(?s)ema.decay=1.*early_stopping.patience=-1"),
    ):
        with pytest.raises(UserError, match=said):
            validate(typed(*overrides))


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ("logger.wandb=maybe", "offline, online, disabled"),
        ("objective=magic", "cross_entropy, guided_distillation"),
        ("trainer.precision=8-bit", "32-true, bf16-mixed, 16-mixed"),
        ("optim.kind=sgd", "adamw, adamw8bit, muon"),
        ("schedule.kind=step", "cosine, wsd"),
        ("early_stopping.mode=low", "min, max"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_allowed_ones(argument, allowed):
    with pytest.raises(UserError) as caught:
        compose("train", [argument])
    assert allowed in str(caught.value)
