"""Arguments of the command line: texts arrive unchanged, mistakes are refused with the remedy."""

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dia.config import compose as composition
from dia.config.command_line import Argument, split_arguments
from dia.config.compose import SCHEMAS, compose, typed
from dia.config.keys import key_types, type_of
from dia.config.reads import READERS
from dia.config.recipes import recipes
from dia.config.values import read_value, unquoted
from dia.errors import UserError

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=40)


def refusal(*arguments, config="train"):
    with pytest.raises(UserError) as caught:
        compose(config, list(arguments))
    return str(caught.value)


@pytest.fixture(scope="module")
def reading():
    """Sets keys of a config that is composed once."""
    config = compose("train", ["data=recordings"])

    def read(*arguments):
        own = config.copy()
        _, keys = split_arguments(arguments, composition.group_names("train"))
        _, problems = composition._set_keys(own, "train", keys)
        assert problems == []
        return typed(own)

    return read


@given(text=TEXT)
@example(text="/my files/a (b)/ü,x=#y")
@example(text="${x} \\${y} \\\\${z} \\")
@example(text="[S1] Hi, you (laughs) [S2] {a}: b=c")
@example(text="null")
@example(text="true")
@settings(max_examples=200, deadline=None)
def test_any_text_arrives_unchanged(reading, text):
    if text == unquoted(text):
        assert reading(f"data.path={text}").data.path == text


@pytest.fixture(scope="module")
def generation():
    return compose("generate", [])


@given(text=TEXT)
@settings(max_examples=50, deadline=None)
def test_a_script_arrives_unchanged_with_its_quotes(generation, text):
    config = generation.copy()
    _, problems = composition._set_keys(config, "generate", [Argument(f"text={text}", "text", text)])
    assert problems == [] and config.text == text


def test_a_text_in_hydra_s_quotes_is_unquoted(reading):
    assert reading('data.path="/a (b)/\\"c\\""').data.path == '/a (b)/"c"'
    assert reading("data.path='it\\'s here'").data.path == "it's here"


@pytest.mark.parametrize(
    "argument",
    ["trainer.step=5", "+trainer.step=5", "++trainer.step=5", "steps=5"],
)
def test_a_misspelt_key_is_refused_with_the_nearest_one(argument):
    message = refusal(argument)
    assert "there is no key" in message and "did you mean trainer.steps=5?" in message


@pytest.mark.parametrize(
    ("arguments", "remedy"), [(["--steps", "5"], "steps="), (["--trainer.steps=5"], "write trainer.steps=5")]
)
def test_an_option_is_refused_with_the_key(arguments, remedy):
    assert remedy in refusal(*arguments)


def test_a_misspelt_group_choice_or_recipe_is_refused_with_the_nearest_one():
    assert "did you mean optim=adamw" in refusal("optim=adam")
    assert "did you mean +recipe=nano" in refusal("+recipe=nan")
    assert "optim has learning_rate" in refusal("optim.momentum=.9").replace(
        "optim.learning_rate", "learning_rate"
    )


def test_a_misspelt_key_of_a_recipe_is_refused(monkeypatch):
    real = composition.recipe_values
    monkeypatch.setattr(composition, "recipe_values", lambda names: real(names) | {"trainer.step": 7})
    assert "did you mean trainer.steps=7?" in refusal("+recipe=nano")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["data.path=/voice"], ("data.path=/voice has no effect", "data=recordings data.path=FOLDER",
                                 "data.corpus=local")),
        (["schedule.decay_fraction=.1"], ("schedule=wsd",)),
        (["lora.alpha=3"], ("lora.rank=32",)),
        (["trainer.devices=4"], ("trainer=ddp",)),
        (["data=recordings", "data.demo.seed=3"], ("data=demo",)),
        (["planning.mfu=.3"], ("plan=true",)),
        (["engine.slurm.account=me"], ("engine=dask",)),
        (["engine=dask", "engine.slurm.account=me"], ("engine.scheduler=slurm",)),
        (["logger=csv", "logger.project=x"], ("logger=wandb",)),
    ],
)  # fmt: skip
def test_a_key_that_nothing_reads_is_refused_with_the_remedy(arguments, parts):
    message = refusal(*arguments)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    "arguments",
    [
        ["data=recordings", "data.path=/voice"],
        ["schedule=wsd", "schedule.decay_fraction=.1"],
        ["lora.rank=4", "lora.alpha=3"],
        ["trainer=ddp", "trainer.devices=4"],
        ["trainer.devices=0"],
        ["+recipe=nano", "schedule=cosine"],
        ["+recipe=nano", "validation.generate_every=0"],
        *([f"+recipe={name}"] for name in recipes()),
    ],
)
def test_a_key_that_is_read_composes(arguments):
    compose("train", arguments)


@pytest.mark.parametrize(
    "key", sorted({key for reader in READERS for key in (*reader.keys, *reader.depends)})
)
def test_the_table_of_readers_names_keys_that_exist(key):
    known = key_types(SCHEMAS["train"])
    assert key in known or any(name.startswith(f"{key}.") for name in known)


def test_whole_numbers_lists_and_words_are_read_by_the_key_s_type(reading):
    config = reading(
        "trainer.steps=1e3", "voices=anna", "resume=true", "model.delays=0,1,2", "mix={prepared/a b: 0.3}",
        "trainer={validate_every: 7, num_workers: 2}", "initializer_range=null", "trainer.compile=yes",
    )  # fmt: skip
    assert config.trainer.steps == 1000 and config.voices == ["anna"] and config.resume == "true"
    assert config.model.delays == [0, 1, 2] and config.mix == {"prepared/a b": 0.3}
    assert config.trainer.validate_every == 7 and config.trainer.num_workers == 2
    assert config.initializer_range is None and config.trainer.compile is True
    assert reading("voices=[anna, 'b, c']").voices == ["anna", "b, c"]
    assert reading("mix={/ü (x): .3}").mix == {"/ü (x)": 0.3}


def test_several_values_name_the_sweep():
    message = refusal("seed=0,1,2")
    assert "python -m dia.sweep" in message and "'sweep.space={seed: [0, 1, 2]}'" in message


def test_wrong_values_and_keys_are_reported_together():
    message = refusal("trainer.steps=1.5", "optm.learning_rate=3", "trainer.strategy=dp", "plan=perhaps")
    for part in (
        "trainer.steps=1.5 must be a whole number",
        "optim.learning_rate=3",
        "single, ddp, fsdp2",
        "true or false",
    ):
        assert part in message


def test_the_keys_of_the_other_task_are_refused():
    assert "a key of task=codec" in refusal("spectral.hop=80")
    assert "a key of task=dia" in refusal("+recipe=codec_nano", "batch.max_frames=9")
    assert "model" not in compose("train", ["task=codec"]) and "spectral" not in compose("train", [])


def test_composing_a_recipe_imports_no_heavy_library():
    code = (
        "import sys; from dia.config.compose import compose; compose('train', ['+recipe=base']);"
        "heavy = ('torch', 'numpy', 'lightning', 'datasets', 'transformers', 'wandb');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_key_has_a_type_that_is_read(schema):
    for key, hint in key_types(schema).items():
        assert type_of(key, schema) is hint
        if hint is int:
            assert read_value(key, "3", hint) == 3
