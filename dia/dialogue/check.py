"""The check of texts that a model is to speak, for the command line, the API and voices alike."""

import logging
from collections.abc import Sequence

from dia.config.checks import bullet_list, unknown
from dia.config.choices import LintLevel
from dia.dialogue.lint import Limits, LintResult, lint
from dia.dialogue.vocabulary import Vocabulary
from dia.errors import UserError

logger = logging.getLogger(__name__)


def lint_level(level: str) -> LintLevel:
    """Return the level of a name. Raises :class:`UserError` for an unknown one."""
    if problems := unknown(("lint", level, list(LintLevel))):
        raise UserError(problems[0])
    return LintLevel(level)


def check_texts(
    texts: Sequence[str], level: str, limits: Limits, vocabulary: Vocabulary | None = None
) -> list[str]:
    """Return the texts that the model reads (:attr:`dia.dialogue.lint.LintResult.text`).

    Args:
        texts: Scripts as a user wrote them.
        level: ``warn`` logs warnings, ``error`` refuses them as errors, ``off`` returns the texts as written.
        limits: What the model can speak in one pass.
        vocabulary: The words that the model knows; None for a model of open vocabulary.

    Raises:
        UserError: With all problems of all texts, for errors and, with ``error``, for warnings.
    """
    chosen = lint_level(level)
    if chosen is LintLevel.off:
        return list(texts)
    results = [lint(text, limits, vocabulary) for text in texts]
    labels = [""] if len(texts) == 1 else [f"text {number}: " for number in range(1, len(texts) + 1)]
    labelled = list(zip(labels, results, strict=True))
    if problems := [label + problem for label, result in labelled for problem in refused(result, chosen)]:
        raise UserError(bullet_list("the text has problems:", problems))
    for label, result in labelled:
        for warning in result.warnings:
            logger.warning("%s%s", label, warning)
    for text, (label, result) in zip(texts, labelled, strict=True):
        if result.text.split() != text.split():
            logger.info("%sthe model reads %s", label, result.text)
    return [result.text for result in results]


def refused(result: LintResult, level: LintLevel) -> tuple[str, ...]:
    """Return the problems for which a text is refused."""
    if level is LintLevel.off:
        return ()
    return result.problems if level is LintLevel.error else result.errors
