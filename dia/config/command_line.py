"""Words of the command line as Hydra takes them without reading anything into them."""

from pathlib import Path


def quoted(text: str) -> str:
    """Return a text in the quotes within which Hydra changes nothing."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'


def words_as_key(arguments: list[str], key: str) -> list[str]:
    """Return arguments with the plain words among them as one ``key=[...]``.

    What starts with a dash is an option; what has an equals sign is a key, or a word when there is a file of
    that name.
    """
    words = [one for one in arguments if not one.startswith("-") and ("=" not in one or Path(one).exists())]
    if not words:
        return arguments
    return [one for one in arguments if one not in words] + [f"{key}=[{','.join(map(quoted, words))}]"]
