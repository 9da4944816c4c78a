"""Range checks that configuration dataclasses share; each returns one sentence per problem."""

from collections.abc import Iterable


def unknown(*choices: tuple[str, str, Iterable[str]]) -> list[str]:
    """Return a problem for each (key, value, allowed values) whose value is not allowed."""
    return [
        f"{key}={value} is unknown; choose one of {', '.join(allowed)}"
        for key, value, allowed in choices
        if value not in allowed
    ]


def not_positive(numbers: Iterable[tuple[str, float]]) -> list[str]:
    """Return a problem for each (key, number) that is not above 0."""
    return [f"{key}={number} must be above 0" for key, number in numbers if number <= 0]


def below(minimum: float, numbers: Iterable[tuple[str, float]]) -> list[str]:
    """Return a problem for each (key, number) that is below ``minimum``."""
    return [f"{key}={number} must be {minimum} or more" for key, number in numbers if number < minimum]


def bullet_list(heading: str, problems: Iterable[str]) -> str:
    """Return a message that lists all problems under a heading."""
    return "\n".join([heading, *(f"  - {problem}" for problem in problems)])
