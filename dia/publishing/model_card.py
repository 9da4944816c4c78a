"""The card of a published model: samples, training, scores with intervals, use and licence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from dia.checkpoint.codec import CodecReference
from dia.checkpoint.model_card import describe_model, how_to_use, library
from dia.dialogue.vocabulary import Vocabulary
from dia.evaluation.metrics.result import PERCENT
from dia.evaluation.score_format import counted, format_ends, format_value
from dia.network import DiaConfig
from dia.publishing.run_facts import TrainingFacts

HUB = "https://huggingface.co"
TASK = "text-to-speech"
SCORES_SHOWN = {  # of scores.json: name, unit
    "wer": ("word error rate", PERCENT),
    "cpwer": ("word error rate by speaker", PERCENT),
    "failed": ("clips with any failure", PERCENT),
    "similarity": ("similarity to the right voice (cosine)", ""),
    "similarity_margin": ("margin over the wrong voice (cosine)", ""),
    "turn_accuracy": ("turns spoken by the right voice", PERCENT),
    "turn_accuracy_own": ("turns spoken by one voice each", PERCENT),
    "net_tag_effect": ("net effect of a tag on its sound", ""),
    "false_insertion": ("sounds without a tag", PERCENT),
    "arousal_agreement": ("pairs whose arousal follows the script", PERCENT),
    "mos": ("predicted quality by DistillMOS (1 to 5)", ""),
}
MODEL = "model"  # the name of the evaluated checkpoint in scores.json


@dataclass(frozen=True)
class CardContent:
    """Everything that a card says.

    Attributes:
        name: Repository or folder of the model.
        license: Identifier of the licence.
        config: Shape of the network.
        codec: The codec that it names.
        sampling: Sampling values by name.
        base: Hub id of the model that training started from; empty for none.
        training: What is known about the training.
        evaluations: Contents of scores.json files.
        samples: Scripts with their seeds and files.
        vocabulary: The words of the training; None for an open vocabulary.
        own_card: The text of an earlier card that somebody wrote.
        on_hub: Whether ``name`` is a repository of the Hub.
    """

    name: str
    license: str
    config: DiaConfig
    codec: CodecReference
    sampling: dict[str, Any]
    base: str
    training: TrainingFacts
    evaluations: Sequence[Mapping[str, Any]]
    samples: Sequence[tuple[str, int, str]]
    vocabulary: Vocabulary | None
    own_card: str
    on_hub: bool


def published_card(content: CardContent) -> str:
    """Return the card as Markdown with the header that the Hub reads."""
    sections = [
        f"---\n{_header(content).to_yaml()}\n---\n\n# {content.name}\n",
        describe_model(content.config, content.codec, content.sampling),
        *_samples(content),
        how_to_use(content.config, content.codec, content.sampling, content.name),
        *_training(content.training),
        *_scores(content.evaluations),
        _limits(content),
        *([f"## Notes\n\n{content.own_card}\n"] if content.own_card else []),
    ]
    return "\n".join(sections)


def _header(content: CardContent) -> ModelCardData:
    return ModelCardData(
        license=content.license,
        language="en",
        library_name=library(content.config),
        pipeline_tag=TASK,
        tags=["dia", "text-to-speech", "dialogue"],
        base_model=content.base or None,
        model_name=content.name.rpartition("/")[2],
        eval_results=list(_results(content.evaluations)) or None,
    )


def _results(evaluations: Sequence[Mapping[str, Any]]) -> Iterator[EvalResult]:
    """Yield the scores of the model in the form that the Hub lists."""
    for suite, name, values in _suites(evaluations):
        score = values.get(MODEL, {}).get(name)
        if score is not None:
            yield EvalResult(
                task_type=TASK,
                dataset_type="dia-suite",
                dataset_name=f"suite {suite}",
                metric_type=name,
                metric_name=SCORES_SHOWN[name][0],
                metric_value=score["value"],
            )


def _suites(
    evaluations: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, str, dict[str, dict[str, Mapping[str, Any]]]]]:
    """Yield suite, score, and all measured results by system, for the scores that a card shows."""
    for evaluation in evaluations:
        for suite, result in evaluation["suites"].items():
            measured = {
                system: {name: scores[name] for name in SCORES_SHOWN if _is_measured(scores.get(name))}
                for system, scores in result["systems"].items()
            }
            for name in SCORES_SHOWN:
                if any(name in scores for scores in measured.values()):
                    yield suite, name, measured


def _is_measured(score: Any) -> bool:
    return isinstance(score, Mapping) and isinstance(score.get("value"), int | float)


def _samples(content: CardContent) -> Iterator[str]:
    if not content.samples:
        return
    yield "## Samples\n"
    for script, seed, file in content.samples:
        address = f"{HUB}/{content.name}/resolve/main/{file}" if content.on_hub else file
        yield f'{_literal(script)} (seed {seed})\n\n<audio controls src="{address}"></audio>\n'


def _literal(text: str) -> str:
    """Return a script as code: Markdown changes nothing in it."""
    return f"`{text.replace('`', chr(39))}`"


def _training(training: TrainingFacts) -> Iterator[str]:
    facts = [
        f"- Started from `{training.base}`" if training.base else "",
        f"- {counted(training.steps, 'step')} in {training.precision}" if training.steps else "",
        f"- Loss in validation at the end: {training.validation_loss:.3f} nats per code"
        if training.validation_loss is not None
        else "",
    ]
    if data := training.data:
        facts.append(f"- Data: `{data.name}`")
        if hours := data.statistics.get("hours"):
            listed = ", ".join(f"{name} {value} hours" for name, value in hours.items())
            facts.append(f"- Audio: {listed}")
        if data.licences:
            listed = ", ".join(f"{name} ({clips} clips)" for name, clips in data.licences.items())
            facts.append(f"- Licences of the data: {listed}")
        if tags := data.statistics.get("tags"):
            facts.append(f"- Sounds: {', '.join(f'({tag}) {number}' for tag, number in tags.items())}")
    if any(facts):
        yield "## Training\n\n" + "\n".join(filter(None, facts)) + "\n"


def _scores(evaluations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    tables: dict[str, list[str]] = {}
    for suite, name, systems in _suites(evaluations):
        title, unit = SCORES_SHOWN[name]
        cells = [_cell(scores.get(name), unit) for scores in systems.values()]
        lines = tables.setdefault(suite, [_row(["", *systems]), _row(["---"] * (1 + len(systems)))])
        lines.append(_row([title, *cells]))
    if tables:
        yield "## Scores\n\nWith 95 % intervals, by the judges that `dia-eval` names in its report.\n"
    for suite, lines in tables.items():
        yield f"Suite `{suite}`:\n\n" + "\n".join(lines) + "\n"


def _cell(score: Mapping[str, Any] | None, unit: str) -> str:
    if score is None:
        return "-"
    ends = format_ends(score.get("low"), score.get("high"), unit)
    return format_value(score["value"], unit) + (f" ({ends})" if ends else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _limits(content: CardContent) -> str:
    words = (
        f"- It was trained on {len(content.vocabulary.entries)} words and tags (`vocabulary.txt`), and does "
        "not speak others intelligibly.\n"
        if content.vocabulary
        else ""
    )
    return (
        f"## Limits\n\n{words}- It speaks the languages of its training data; Dia-1.6B is English only.\n"
        "- A seed does not fix a voice: give a voice prompt for one.\n"
        "- What it speaks is synthetic: say so where you publish it, and imitate nobody without consent.\n"
    )
