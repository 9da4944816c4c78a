"""What a vendor's document allows, as cases: every form of a request, every format of sound, every error."""

import base64
import io
import json

import numpy as np
import soundfile

from dia.dialogue import Script
from dia.systems.clients import create_system
from dia.systems.declaration import RAW_FORMATS, UNREADABLE_FORMATS, parse_declaration
from dia.systems.script_rendering import render_script
from tests.systems.conftest import load_declared
from tests.systems.documented_server import Answer

PITCH, SECONDS = 220.0, 0.8
SCRIPTS = (
    "[S1] {happy} Hello there my friend. (laughs) [S2] Oh, hi! (beep) How are you?",
    '[S1] "Ça va?" \\ 100 % - 你好 🙂 [S2] Yes.\tWell.',
    "[S1] It is late. (sighs) [S1] So late. [S2] Is it? [S1] It is.",
)
FINAL, STOP, RETRY = "final", "stop", "retry"
# what each status asks of a client (RFC 9110, and the vendors' guides to errors)
STATUSES = {
    **dict.fromkeys((400, 404, 405, 406, 410, 413, 415, 422), FINAL),
    **dict.fromkeys((401, 402, 403), STOP),
    **dict.fromkeys((408, 409, 425, 429, 500, 502, 503, 504, 529), RETRY),
}
# bodies in the notations of the vendors' guides to errors, of a gateway, and none
BODIES = {
    "openai": ("application/json", {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}),
    "elevenlabs": (
        "application/json",
        {
            "detail": {
                "type": "validation_error",
                "code": "invalid_parameters",
                "message": "m",
                "status": "invalid_parameters",
                "request_id": "r",
                "param": "model_id",
            }
        },
    ),
    "elevenlabs, until 2025": ("application/json", {"detail": {"status": "s", "message": "m"}}),
    "fastapi": ("application/json", {"detail": [{"loc": ["body", 0], "msg": "m", "type": "t"}]}),
    "hume": ("application/json", {"code": "E0714", "error": "bad_request", "message": "m"}),
    "kong": ("application/json", {"message": "API rate limit exceeded"}),
    "a list": ("application/json", []),
    "html": ("text/html", b"<html><body>502 Bad Gateway</body></html>"),
    "damaged": ("application/json", b'{"detail": '),
    "empty": ("text/plain", b""),
}
# codes of errors that waiting does not end, by vendor: of their guides to errors
EXHAUSTED = {
    "openai": {
        "insufficient_quota": 429,
        "credit_balance_exhausted": 429,
        "organization_spend_limit_exceeded": 429,
        "organization_usage_limit_exceeded": 429,
        "project_spend_limit_exceeded": 429,
    },
    "elevenlabs": {"quota_exceeded": 401, "invalid_api_key": 400},
}


def open_system(name, url, **changes):
    """Return the client of a shipped system that sends to ``url``, and its declaration."""
    declaration = parse_declaration(load_declared(name, base_url=url, **changes))
    system = create_system(declaration)
    system.open()
    return system, declaration


def requests_of(system, declaration, script, take=0):
    """Return the requests of a script."""
    return system.build_requests("p", render_script(Script.parse(script), declaration).turns, take)


def declared_format(name, vendor_format):
    """Return how a declaration names a vendor's format: raw formats with the documented sample rate."""
    rates = {"openai": 24_000, "hume": 48_000}
    raw_without_rate = vendor_format in RAW_FORMATS
    return f"{vendor_format}_{rates[name]}" if raw_without_rate else vendor_format


def request_forms(name, document):
    """Return changes of the declaration, by a name: each field of the document with several of its values."""
    fields = document.fields
    forms = {"as shipped": {}}
    for vendor_format in formats_of(name, document):
        if vendor_format not in UNREADABLE_FORMATS:
            forms[f"format {vendor_format}"] = {"format": declared_format(name, vendor_format)}
    for key, values in SETTINGS[name].items():
        for value in values if key in fields else ():
            forms[f"{key} {json.dumps(value)}"] = {"settings": {key: value}}
    for number, voices in enumerate(VOICES[name]):
        forms[f"voices {number}"] = {"voices": voices}
    for model in MODELS[name]:
        forms[f"model {model}"] = {"model": model}
    if name == "openai":
        for voice in document.choices(fields["voice"]):
            forms[f"voice {voice}"] = {"voices": {"S1": voice, "S2": voice}}
    return forms


def formats_of(name, document):
    """Return the formats of sound that the document names."""
    if name == "hume":  # the tags of the alternatives: {"type": "wav"}
        alternatives = [document.resolve(part) for part in document.fields["format"]["anyOf"]]
        return [part["properties"]["type"]["const"] for part in alternatives if "properties" in part]
    field = "response_format" if name == "openai" else "output_format"
    return document.choices(document.fields[field])


def sound_in(vendor_format):
    """Return a tone in a declared format, and its sample rate in hertz."""
    kind, _, rest = vendor_format.partition("_")
    rate = int(rest.partition("_")[0] or 24_000)
    time = np.arange(round(SECONDS * rate)) / rate
    tone = (0.3 * np.sin(2 * np.pi * PITCH * time)).astype(np.float32)
    file = io.BytesIO()
    if kind in RAW_FORMATS:
        soundfile.write(file, tone, rate, format="RAW", subtype=RAW_FORMATS[kind], endian="LITTLE")
    elif kind == "opus":
        soundfile.write(file, tone, rate, format="OGG", subtype="OPUS")
    else:
        soundfile.write(file, tone, rate, format=kind.upper())
    return file.getvalue(), rate


def encoded(body):
    """Return the bytes of a body: JSON of a list or mapping, bytes as they are."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def streamed_wav(content):
    """Return a WAV file whose header states no sizes, as a service writes that streams it."""
    unknown = b"\xff\xff\xff\xff"
    place = content.index(b"data") + 4
    return content[:4] + unknown + content[8:place] + unknown + content[place + 4 :]


def is_the_tone(sound, rate):
    """Return whether decoded sound is the tone, at its rate, but for the delay of a coder."""
    spectrum = np.abs(np.fft.rfft(sound.waveform * np.hanning(len(sound.waveform))))
    pitch = float(np.argmax(spectrum)) * sound.sample_rate / len(sound.waveform)
    length = len(sound.waveform) / sound.sample_rate
    return sound.sample_rate == rate and abs(length - SECONDS) < 0.13 and abs(pitch - PITCH) < 3


def events_of(content, size=1000, *, done=True, line="\n"):
    """Return sound as the events of OpenAI's Speech API."""
    events = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(content[start : start + size]).decode()}
        for start in range(0, len(content), size)
    ]
    if done:
        usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
        events.append({"type": "speech.audio.done", "usage": usage})
    text = "".join(f"data: {json.dumps(event)}{line}{line}" for event in events)
    return Answer(content_type="text/event-stream", content=text.encode(), chunk=777)


def timed_answer(content, chunk):
    """Return sound as ElevenLabs does with the times of its turns."""
    times = {"start_time_seconds": 0.0, "end_time_seconds": 0.1}
    characters = {"character_start_index": 0, "character_end_index": 1}
    segments = [{"voice_id": "a", "dialogue_input_index": 0, **times, **characters}]
    answer = {"audio_base64": base64.b64encode(content).decode(), "voice_segments": segments}
    return Answer(content_type="application/json", content=encoded(answer), chunk=chunk)


SETTINGS = {
    "openai": {
        "speed": (0.25, 1, 4.0),
        "stream_format": ("audio", "sse"),
        "instructions": ("Speak slowly.", "x" * 4000),
    },
    "elevenlabs": {
        "settings": ({"stability": 0.0}, {"stability": 0.5}, {"stability": 1.0}),
        "language_code": ("en", "cmn"),
        "apply_text_normalization": ("auto", "on", "off"),
        "enable_logging": (True, False),
        "pronunciation_dictionary_locators": (
            [{"pronunciation_dictionary_id": "a", "version_id": "b"}],
            [{"pronunciation_dictionary_id": "a", "version_id": None}],
        ),
    },
    "elevenlabs_turns": {
        "voice_settings": (
            {"stability": 0.5, "similarity_boost": 0.75},
            {"stability": 1, "similarity_boost": 0, "style": 0.3, "use_speaker_boost": False, "speed": 1.2},
        ),
        "language_code": ("en",),
        "apply_text_normalization": ("auto", "on", "off"),
        "apply_language_text_normalization": (True, False),
        "enable_logging": (True, False),
        "optimize_streaming_latency": (0, 4),
        "use_pvc_as_ivc": (True,),
        "previous_request_ids": (["a", "b"],),
        "next_request_ids": (["a"],),
        "pronunciation_dictionary_locators": ([{"pronunciation_dictionary_id": "a", "version_id": "b"}],),
    },
    "hume": {
        "temperature": (0.75,),
        "split_utterances": (True, False),
        "strip_headers": (True, False),
        "instant_mode": (False,),
        "include_timestamp_types": (["word"],),
        "context": ({"generation_id": "a"}, {"utterances": [{"text": "Before."}]}),
    },
}
VOICES = {
    "openai": (
        {"S1": {"id": "voice_1234"}, "S2": {"id": "voice_5678"}},
        {"S1": "a custom one", "S2": "sage"},
    ),
    "elevenlabs": ({"S1": "a", "S2": "b"},),
    "elevenlabs_turns": ({"S1": "a", "S2": "b"},),
    "hume": (
        {"S1": {"id": "5bb7de05-c8fe-426a-8fcc-ba4fc4ce9f9c"}, "S2": {"id": "a", "provider": "HUME_AI"}},
        {
            "S1": {"name": "mine", "provider": "CUSTOM_VOICE"},
            "S2": {"name": "Ava Song", "provider": "HUME_AI"},
        },
    ),
}
MODELS = {
    "openai": ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"),
    "elevenlabs": ("eleven_v3",),
    "elevenlabs_turns": ("eleven_v3", "eleven_multilingual_v2", "eleven_flash_v2_5"),
    "hume": ("1", "2"),
}
