"""Shards of a checkpoint: read as they were written, and nothing of them is unpickled."""

import json
import pickle

import pytest
import torch
from torch.distributed.checkpoint import FileSystemWriter, save

from dia.errors import UserError
from dia.training.shards import load_shards, read_shards, save_shards
from tests.payloads import Payload, opened_files

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def state():
    generator = torch.Generator().manual_seed(0)
    weights = {
        "a.weight": torch.randn(3, 4, generator=generator),
        "b": torch.randn(5, generator=generator).bfloat16(),
    }
    groups = [{"lr": 0.1, "betas": (0.9, 0.95), "params": ["a.weight", "b"], "fused": None, "eps": 1e-8}]
    moments = {
        "a.weight": {"step": torch.tensor(7.0), "exp_avg": torch.ones(3, 4)},
        "b": {"step": torch.tensor(7.0)},
    }
    return {"state_dict": weights, "optimizer_0": {"state": moments, "param_groups": groups}}


def emptied(value):
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, dict):
        return {key: emptied(item) for key, item in value.items()}
    return (
        [emptied(item) for item in value]
        if isinstance(value, list)
        else (value if isinstance(value, str) else 0)
    )


@pytest.fixture
def folder(tmp_path):
    save_shards(state(), tmp_path / "shards")
    return tmp_path / "shards"


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def test_a_state_is_read_as_it_was_written(folder):
    assert not (folder / ".metadata").exists()
    loaded = emptied(state())
    load_shards(loaded, folder)
    assert same(loaded, state())
    assert same(read_shards(folder, "state_dict."), state()["state_dict"])


def change(folder, edit):
    path = folder / "shards.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


WEIGHT = "state_dict.a.weight"


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["tensors"][WEIGHT].update(size=[10**9, 10**9]),
        lambda content: content["tensors"][WEIGHT]["chunks"][0].update(sizes=[10**9, 10**9]),
        lambda content: content["tensors"][WEIGHT]["chunks"][0].update(sizes=[-3, -4]),
        lambda content: content["tensors"][WEIGHT]["chunks"][0].update(length=10**18),
        lambda content: content["tensors"][WEIGHT]["chunks"][0].update(file="nowhere"),
        lambda content: content["tensors"][WEIGHT].update(dtype="object"),
        lambda content: content["tensors"][WEIGHT].update(chunks=[]),
        lambda content: content["tensors"].update({WEIGHT: 3}),
        lambda content: content.pop("values"),
        lambda content: content.update(tensors=[1]),
    ],
)
def test_a_description_that_the_files_contradict_is_refused(folder, edit):
    change(folder, edit)
    with pytest.raises(UserError, match="damaged"):
        read_shards(folder, "state_dict.")
    with pytest.raises(UserError, match="damaged"):
        load_shards(emptied(state()), folder)


@pytest.mark.parametrize("name", ["../secret", "{root}/secret", "link"])
def test_a_file_outside_of_the_shards_is_refused_by_name(folder, tmp_path, name):
    source = next(folder.glob("*.distcp"))
    (tmp_path / "secret").write_bytes(source.read_bytes())  # would be read if it were opened
    (folder / "link").symlink_to("../secret")
    name = name.format(root=tmp_path)
    change(folder, lambda content: content["tensors"][WEIGHT]["chunks"][0].update(file=name))
    with opened_files() as opened, pytest.raises(UserError, match="not a file inside"):
        read_shards(folder, "state_dict.")
    assert not any("secret" in path for path in opened)


@pytest.mark.parametrize("kind", ["tensors", "values"])
def test_a_pickle_in_a_shard_does_not_run(folder, tmp_path, kind):
    payload = pickle.dumps(Payload(tmp_path / "trace"))

    def put(content):
        entries = content[kind]
        name = WEIGHT if kind == "tensors" else next(iter(entries))
        target = entries[name]["chunks"][0] if kind == "tensors" else entries[name]
        (folder / "evil").write_bytes(payload + b"\0" * 4096)
        target.update(file="evil", offset=0, length=len(payload) + 4096)

    change(folder, put)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_shards(emptied(state()), folder)
    if kind == "tensors":
        with pytest.raises(UserError, match="cannot be loaded"):
            read_shards(folder, "state_dict.")
    assert not (tmp_path / "trace").exists()


def test_shards_of_an_earlier_version_are_refused_with_the_remedy(tmp_path):
    folder = tmp_path / "run" / "checkpoints" / "step-00000003.ckpt"
    save(state(), storage_writer=FileSystemWriter(folder))
    (folder / ".metadata").write_bytes(pickle.dumps(Payload(tmp_path / "trace")))
    for read in (lambda: read_shards(folder, "state_dict."), lambda: load_shards(emptied(state()), folder)):
        with pytest.raises(UserError, match=f"init_from={tmp_path / 'run' / 'model'}"):
            read()
    assert not (tmp_path / "trace").exists()
