"""The container files name what exists: sources, extras, commands. Building needs Docker and a network."""

import json
import re
import tomllib
from pathlib import Path

import yaml

from dia.cli.arguments import choose_command, name_words
from dia.cli.run import read_config

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def copied():
    """The files that the image copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [word for line in lines for word in line.split()[:-1]]


def test_everything_that_the_wheel_needs_is_copied_and_not_ignored():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], "pyproject.toml", project["project"]["readme"]}
    assert {name.split("/")[0] for name in needed} <= set(copied())
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied()) == allowed and all((ROOT / name).exists() for name in copied())


def test_the_extras_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"'\.\[(.+)\]'", DOCKERFILE)
    assert set(named.split(",")) <= set(extras)


def config_of(arguments):
    command, rest = choose_command("serve", arguments)
    return read_config(command, name_words(command, rest))


def test_the_command_serves_every_address_of_the_container():
    (arguments,) = (json.loads(line) for line in re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE))
    config = config_of(arguments)
    assert (config.ckpt, config.host, config.port) == ("dia_open", "0.0.0.0", 8000)
    assert config.voices == "voices" and "WORKDIR /data\nVOLUME /data" in DOCKERFILE


def test_compose_publishes_to_this_machine_only_and_stores_voices_in_a_volume():
    for service in (SERVICES["dia"], SERVICES["dia"] | SERVICES["dia-gpu"]):
        arguments = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in service["command"]]
        assert config_of(arguments).host == "0.0.0.0"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["volumes"] == ["dia:/data"]
