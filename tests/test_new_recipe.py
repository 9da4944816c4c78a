"""A recipe costs one YAML file, also outside of the package; the shipped command trains with it."""

import pytest

from dia.config.compose import compose, typed
from dia.errors import UserError
from dia.pipelines.check_config import complete, validate
from dia.train import run_task
from dia.training.run_folder import read_metrics
from tests.tiny_world import TinyWorld

RECIPE = """# @package _global_
defaults:
  - finetune
  - _self_
run_name: my_voices
optim: {learning_rate: 3.0e-5}
trainer: {steps: 800}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "my recipes" / "my_voices.yaml"
    path.parent.mkdir()
    path.write_text(RECIPE)
    return path


def test_a_recipe_file_builds_on_a_recipe_of_the_package(recipe):
    config = compose("train", [f"+recipe={recipe}", "trainer.steps=5"])
    assert config.run_name == "my_voices" and config.optim.learning_rate == 3e-5
    assert config.trainer.steps == 5 and config.early_stopping.patience == 5
    assert config.init_from == "nari-labs/Dia-1.6B-0626"


def test_a_recipe_file_trains(recipe, tmp_path):
    world = TinyWorld(tmp_path / "tiny")
    overrides = [*world.overrides(tmp_path / "runs"), f"init_from={world.init}"]
    config = complete(typed(compose("train", [f"+recipe={recipe}", *overrides])))
    validate(config)
    folder = run_task(config)
    assert folder == tmp_path / "runs" / "my_voices"
    assert {row["step"] for row in read_metrics(folder)} == {"0", "1"}


def test_a_recipe_file_may_use_old_names_with_a_warning(recipe, caplog):
    recipe.write_text(RECIPE + "batch: {frames: 123}\n")
    assert compose("train", [f"+recipe={recipe}"]).batch.max_frames == 123
    assert "batch.max_frames" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the recipe"),
        ("[1, 2]", "is not a YAML mapping"),
        ("a: [", "cannot read the recipe"),
        ("# @package _global_\noptim: {learning_rat: 1}\n", "learning_rate"),
    ],
)
def test_a_recipe_file_that_cannot_be_used_is_refused(text, message, tmp_path):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        compose("train", [f"+recipe={path}"])
