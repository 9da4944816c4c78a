"""Quoting of text for Hydra, so that it is taken literally."""


def quoted(text: str) -> str:
    """Return a text in quotes, inside which Hydra interprets nothing."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
