"""The requests that the clients make, written with the types of the vendors' SDKs and as HTTP templates."""

import elevenlabs
import httpx2
import hume
import openai

from dia.dialogue import Script
from dia.systems.script_rendering import render_script
from tests.systems.vendor_cases import open_system, requests_of

KEY = "sk-not-a-key-0123456789"
HTTP = {  # settings of `client: http` that make the same request
    "openai": {
        "endpoint": "/audio/speech",
        "body": {
            "model": "{model}",
            "voice": "{voice}",
            "input": "{text}",
            "response_format": "{format}",
            "instructions": "{style}",
        },
    },
    "elevenlabs": {
        "endpoint": "/v1/text-to-dialogue?output_format={format}",
        "request_per": "script",
        "key_header": "xi-api-key",
        "key_prefix": "",
        "turn": {"text": "{text}", "voice_id": "{voice}"},
        "body": {
            "inputs": "{turns}",
            "model_id": "{model}",
            "seed": "{seed}",
            "settings": {"stability": 0.5},
            "apply_text_normalization": "auto",
        },
    },
    "hume": {
        "endpoint": "/v0/tts/file",
        "request_per": "script",
        "key_header": "X-Hume-Api-Key",
        "key_prefix": "",
        "turn": {"text": "{text}", "voice": "{voice}", "description": "{style}"},
        "body": {
            "utterances": "{turns}",
            "version": "{model}",
            "format": {"type": "{format}"},
            "num_generations": 1,
        },
    },
}


def sdk_bodies(name, url, declaration, script):
    """Return functions that send a script's requests, each with a name of its source."""
    turns = render_script(Script.parse(script), declaration).turns
    by_types = {
        "openai": _openai,
        "elevenlabs": _elevenlabs,
        "elevenlabs_turns": _elevenlabs_turns,
        "hume": _hume,
    }[name]
    sources = [("the SDK's types", lambda: by_types(url, declaration, turns))]
    if name in HTTP:
        changes = {"client": "http", "settings": HTTP[name], "format": declaration.format}
        system, other = open_system(name, url, **changes)
        sources.append(
            ("client: http", lambda: [system.send(request) for request in requests_of(system, other, script)])
        )
    return sources


def _openai(url, declaration, turns):
    client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=httpx2.Client())
    for turn in turns:
        client.audio.speech.create(
            model="gpt-4o-mini-tts-2025-12-15",
            voice=declaration.voices[turn.voice],
            input=turn.text,
            response_format="wav",
            instructions=turn.style or openai.omit,
        )


def _elevenlabs(url, declaration, turns):
    client = elevenlabs.ElevenLabs(base_url=url, api_key=KEY)
    inputs = [
        elevenlabs.DialogueInput(text=turn.text, voice_id=declaration.voices[turn.voice]) for turn in turns
    ]
    b"".join(
        client.text_to_dialogue.convert(
            inputs=inputs,
            output_format=declaration.format,
            model_id="eleven_v3",
            seed=0,
            settings=elevenlabs.ToDialogueSettingsResponseModel(stability=0.5),
            apply_text_normalization="auto",
        )
    )


def _elevenlabs_turns(url, declaration, turns):
    client = elevenlabs.ElevenLabs(base_url=url, api_key=KEY)
    for number, turn in enumerate(turns):
        neighbours = {}
        if number:
            neighbours["previous_text"] = turns[number - 1].text[-100:]
        if number + 1 < len(turns):
            neighbours["next_text"] = turns[number + 1].text[:100]
        b"".join(
            client.text_to_speech.convert(
                declaration.voices[turn.voice],
                text=turn.text,
                output_format=declaration.format,
                model_id="eleven_multilingual_v2",
                seed=0,
                voice_settings=elevenlabs.VoiceSettings(stability=0.5, similarity_boost=0.75),
                apply_text_normalization="auto",
                **neighbours,
            )
        )


def _hume(url, declaration, turns):
    from hume.tts import FormatWav, PostedUtterance, PostedUtteranceVoiceWithName

    client = hume.HumeClient(base_url=url, api_key=KEY)
    utterances = [
        PostedUtterance(
            text=turn.text,
            voice=PostedUtteranceVoiceWithName(**declaration.voices[turn.voice]),
            **({"description": turn.style} if turn.style else {}),
        )
        for turn in turns
    ]
    b"".join(
        client.tts.synthesize_file(utterances=utterances, version="2", format=FormatWav(), num_generations=1)
    )
