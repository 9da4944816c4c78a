"""Scripts that show what a model speaks."""

from dia.dialogue.vocabulary import Vocabulary

EXAMPLES = (
    "[S1] Hello there. (laughs) [S2] Hello! How are you today?",
    "[S1] We walked along the river until it was dark. (sighs) [S2] And then we went home.",
    "[S1] I love rain in the morning. (laughs) [S2] Do you like soup?",
    "[S1] We met on Monday. [S2] Please call my sister. (coughs)",
)


def example_scripts(vocabulary: Vocabulary | None) -> list[str]:
    """Return the examples that a model of this vocabulary knows; all of them for an open vocabulary."""
    return [script for script in EXAMPLES if vocabulary is None or not vocabulary.problems(script)]
