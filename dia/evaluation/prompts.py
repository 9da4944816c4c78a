"""What is asked to be spoken."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A script to be spoken.

    Prompts of one ``group`` say the same words in several ``version``s: `tag` asks for the group's ``tag``, `plain` for none,
    `swapped` for another one, `sentinel` for one that no system knows. ``arousal`` is `high` or `low` where the prompt asks for
    one.
    """

    id: str
    script: str
    licence: str = "Apache-2.0"
    group: str = ""
    version: str = ""
    tag: str = ""
    arousal: str = ""
