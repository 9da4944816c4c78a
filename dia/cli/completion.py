"""Shell completion of commands, keys, choices, recipes and files for bash and zsh.

``eval "$(dia-train --completion bash)"`` (or zsh) installs it for all commands in the running shell. The
script calls the command with ``--complete LINE``, which prints one candidate per line and imports no library.
"""

from pathlib import Path

from dia.cli.command import Command
from dia.cli.commands import DOORS, commands_of
from dia.cli.help import composes_training, group_choices, groups, named_values
from dia.errors import UserError
from dia.resources import SHIPPED_CHECKPOINTS, SHIPPED_CODECS

# bash splits words at "=", so that only what follows the last one is replaced
BASH = """\
_dia_complete() {
  local line=${COMP_LINE:0:COMP_POINT} word cut=
  word=${line##*[[:space:]]}
  [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && cut=${word%=*}=
  mapfile -t COMPREPLY < <("$1" --complete "$line" 2>/dev/null)
  COMPREPLY=("${COMPREPLY[@]#"$cut"}")
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _dia_complete PROGRAMS
"""
ZSH = """\
_dia_complete() {
  local -a candidates
  candidates=("${(@f)$(${words[1]} --complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  [[ -n ${candidates[1]} ]] && compadd -Q -S '' -- $candidates
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _dia_complete PROGRAMS
"""
OPTIONS = ("--help", "--version", "--completion", "--cfg")
MODELS = {"ckpt", "baseline", "init_from", "weights", "path"}
FILE_WORDS = ("folders", "files", "audio", "voice")  # words that name files


def completion_script(shell: str) -> str:
    """Return the script that installs completion. Raises :class:`UserError` for an unknown shell."""
    scripts = {"bash": BASH, "zsh": ZSH}
    if shell not in scripts:
        raise UserError(f"--completion {shell} is unknown; choose bash or zsh".replace("  ", " "))
    return scripts[shell].replace("PROGRAMS", " ".join(f"dia-{door}" for door in DOORS))


def candidates(line: str) -> list[str]:
    """Return whole words that continue the last word of a command line; the line ends at the cursor."""
    program, *words = line.split()
    if not words or line[-1].isspace():
        words.append("")
    door = Path(program).name.removesuffix(".exe").removeprefix("dia-")
    known = commands_of(door)
    if not known:
        return []
    command = known.get(words[0], known.get(""))
    if command is None or (len(words) == 1 and words[0] and command.word):
        command = next(iter(known.values()))
    prefix = words[-1]
    options = _words(command, len(words) == 1, prefix) if "=" not in prefix else _values(command, prefix)
    return sorted({option for option in options if option.startswith(prefix)})


def _words(command: Command, first: bool, prefix: str) -> list[str]:
    """Return commands, options, positional words, and keys one dotted level beyond the prefix."""
    names = [other.word for other in commands_of(command.door).values() if other.word] if first else []
    if prefix.startswith("-"):
        return list(OPTIONS)
    if composes_training(command):
        names.append("+recipe=")
    if command.positional in FILE_WORDS:
        names += _files(prefix)
    elif command.positional in MODELS:
        names += [*SHIPPED_CHECKPOINTS, *(_files(prefix) if prefix else ())]
    for name in _key_names(command):
        level = name.find(".", len(prefix)) + 1
        names.append(name[:level] if level else f"{name}=")
        if level and group_choices(group := name[: level - 1]):
            names.append(f"{group}=")
    return names


def _key_names(command: Command) -> list[str]:
    names = [key.name for group in groups(command, with_defaults=False) for key in group.keys]
    if command.door == "sweep":
        names += _key_names(commands_of("train")[""])
    return names


def _values(command: Command, prefix: str) -> list[str]:
    """Return the values of the key before the equals sign: choices, presets, models or files."""
    key, _, value = prefix.partition("=")
    name = key.lstrip("+~")
    if command.door == "sweep" and not name.startswith("sweep."):
        command = commands_of("train")[""]
    if name == "recipe":
        return [f"{key}={choice}" for choice in group_choices("recipe")]
    known = {item.name: item for group in groups(command, with_defaults=False) for item in group.keys}
    choices = list(known[name].choices) if name in known else []
    choices = choices or named_values(command, name) or group_choices(name)
    if name in MODELS:
        choices = [*SHIPPED_CHECKPOINTS, *_files(value)]
    elif name == "codec.name":
        choices = [*SHIPPED_CODECS, "dac_44khz", "dac_24khz", "dac_16khz"]
    elif not choices and name in known and known[name].kind == "text":
        choices = _files(value)
    return [f"{key}={choice}" for choice in choices]


def _files(prefix: str) -> list[str]:
    """Return the files and folders whose path begins with a prefix; folders end with a slash."""
    folder = Path(prefix) if prefix.endswith("/") else Path(prefix).parent
    start = prefix if prefix.endswith("/") else prefix[: len(prefix) - len(Path(prefix).name)]
    if not folder.is_dir():
        return []
    hidden = Path(prefix).name.startswith(".")
    return [
        f"{start}{path.name}{'/' if path.is_dir() else ''}"
        for path in folder.iterdir()
        if hidden or not path.name.startswith(".")
    ]
