"""Collect the takes of every system: ground truth, codec round trip, checkpoints, recorded systems."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dia.engines.run import Workers
from dia.evaluation.ground_truth import REFERENCE
from dia.evaluation.prompts import Prompt
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.takes import MODEL, ROUND_TRIP, SystemTakes
from dia.judges.recording import Recording
from dia.pipelines.evaluation.generate_takes import TakeGenerator
from dia.pipelines.evaluation.take_jobs import RoundTrip, TakeJob, Takes
from dia.progress import Progress
from dia.systems.read_recordings import RecordedSystem


def collect_takes(
    items: Sequence[PromptItem],
    seeds: int,
    generators: Sequence[TakeGenerator],
    recorded: Sequence[RecordedSystem],
    workers: Workers[TakeJob, Takes],
) -> list[SystemTakes]:
    """Return the takes of every system on these prompts, without systems that have none.

    ``workers`` make takes of the checkpoints of ``generators``. The codec of round trips is the model's.
    """
    prompts = [item.prompt for item in items]
    references = [item.reference for item in items if item.reference]
    systems = [SystemTakes(REFERENCE, references, in_voices_of_data=True)]
    if any(generator.checkpoint == MODEL for generator in generators):
        decoded = round_trips(references, workers)
        systems.append(SystemTakes(ROUND_TRIP, decoded, in_voices_of_data=True))
    systems += [generator.generate(items, seeds, workers) for generator in generators]
    systems += [recorded_takes(system, prompts) for system in recorded]
    return [system for system in systems if system.recordings or system.failures]


def round_trips(
    recordings: Sequence[Recording], workers: Workers[TakeJob, Takes], system: str = MODEL
) -> list[Recording]:
    """Return recordings as the codec of a system encodes and decodes them."""
    jobs = [
        RoundTrip(number, system, recording.waveform, recording.sample_rate)
        for number, recording in enumerate(recordings)
    ]
    decoded = {}
    with Progress("encoding and decoding references", len(jobs), unit="recordings") as progress:
        for number, (take,) in workers.run(jobs):
            decoded[number] = take
            progress.advance()
    return [
        replace(
            recording,
            system=ROUND_TRIP,
            waveform=decoded[number].waveform,
            sample_rate=decoded[number].sample_rate,
        )
        for number, recording in enumerate(recordings)
    ]


def recorded_takes(system: RecordedSystem, prompts: Sequence[Prompt]) -> SystemTakes:
    """Return the takes of a recorded system on those prompts that it has recorded with the same script."""
    by_id = {prompt.id: prompt for prompt in prompts}
    shared = {
        prompt.id
        for prompt in system.prompts
        if prompt.id in by_id and by_id[prompt.id].script == prompt.script
    }
    recordings = [recording for recording in system.recordings if recording.prompt_id in shared]
    failures = [
        (by_id[failure.prompt_id], f"{failure.kind}: {failure.message}")
        for failure in system.failures
        if failure.prompt_id in shared
    ]
    return SystemTakes(system.system, recordings, failures)


def recording_problems(recorded: Sequence[RecordedSystem], items: Iterable[PromptItem]) -> list[str]:
    """Return the problems of recorded systems, among them scripts that differ from the prompts'."""
    scripts = {item.prompt.id: item.prompt.script for item in items}
    problems = [f"{system.system}: {problem}" for system in recorded for problem in system.problems]
    return problems + [
        f"{system.system}: {prompt.id} was recorded with another script than the suite's; it is left out"
        for system in recorded
        for prompt in system.prompts
        if scripts.get(prompt.id, prompt.script) != prompt.script
    ]
