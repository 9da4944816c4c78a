"""Collect the takes of every system: ground truth, codec round trip, checkpoints, recorded systems."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from dia.audio.files import resample
from dia.codecs.protocol import Codec, pad_to_frames
from dia.evaluation.ground_truth import REFERENCE
from dia.evaluation.prompts import Prompt
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.takes import ROUND_TRIP, SystemTakes
from dia.judges.recording import Recording
from dia.pipelines.evaluation.generate_takes import TakeGenerator
from dia.systems.read_recordings import RecordedSystem


def collect_takes(
    items: Sequence[PromptItem],
    seeds: int,
    codec: Codec | None,
    generators: Sequence[TakeGenerator],
    recorded: Sequence[RecordedSystem],
) -> list[SystemTakes]:
    """Return the takes of every system on these prompts, without systems that have none."""
    prompts = [item.prompt for item in items]
    references = [item.reference for item in items if item.reference]
    systems = [SystemTakes(REFERENCE, references)]
    if codec is not None:
        systems.append(SystemTakes(ROUND_TRIP, [round_trip(reference, codec) for reference in references]))
    systems += [generator.generate(prompts, seeds) for generator in generators]
    systems += [recorded_takes(system, prompts) for system in recorded]
    return [system for system in systems if system.recordings or system.failures]


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


def round_trip(recording: Recording, codec: Codec) -> Recording:
    """Return a recording encoded and decoded by the codec: the upper limit of a model's audio quality."""
    waveform = resample(recording.waveform, recording.sample_rate, codec.sample_rate)
    waveform_BL = torch.from_numpy(waveform)[None]
    decoded_BL = codec.decode(codec.encode(pad_to_frames(waveform_BL, codec.hop)))
    decoded = decoded_BL[0, : waveform_BL.shape[1]].cpu().numpy()
    return replace(recording, system=ROUND_TRIP, waveform=decoded, sample_rate=codec.sample_rate)
