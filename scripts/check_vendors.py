"""Check the vendors' clients against the vendors' own documents, which Prism serves and validates.

    bash scripts/fetch_vendor_documents.sh FOLDER && python scripts/check_vendors.py FOLDER

Every form of a request that a document allows is sent by the client that records the system, and must not
violate the document. Every format of sound, whole, in chunks and as events, must be decoded, and every
documented error, and those of the vendors' guides, must end, fail or repeat the request as they ask. The
requests of the generic HTTP client and those of the SDK's own types must be the same. Needs the checkout.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dia.errors import UserError
from dia.systems.declaration import UNREADABLE_FORMATS
from dia.systems.protocol import RequestFailed
from dia.systems.response_audio import InvalidAudio, decode_audio
from tests.systems import vendor_cases as cases
from tests.systems import vendor_documents as documents
from tests.systems.conftest import load_declared
from tests.systems.documented_server import Answer, serving_document
from tests.systems.vendor_sdk import sdk_bodies

KEY = "sk-not-a-key-0123456789"
KEYS = ("OPENAI_API_KEY", "ELEVENLABS_API_KEY", "HUME_API_KEY")


@dataclass(frozen=True)
class Subject:
    """A client, and the file and path of its document; without a file the document of Hume's types."""

    name: str
    source: tuple = ()
    path: str = ""
    with_times: bool = False

    def read(self, folder):
        """Return the document."""
        if not self.source:
            return documents.hume_document()
        return documents.read_document(folder, *self.source, self.path)


@dataclass
class Check:
    """One client against one document; ``problems`` are the differences."""

    name: str
    document: documents.Document
    server: object
    with_times: bool = False
    counts: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)

    def run(self):
        """Run all parts; each counts its cases."""
        for part in (self.requests, self.controls, self.limits, self.sounds, self.errors, self.sdk):
            self.counts[part.__name__] = part()

    def requests(self):
        """Send every form of every script; the mock must find no violation."""
        sent = 0
        for form, changes in cases.request_forms(self.name, self.document).items():
            self.server.answer = self._answer_for(changes)
            system, declaration = self._open(**changes)
            for script in cases.SCRIPTS:
                for request in cases.requests_of(system, declaration, script, take=sent % 3):
                    self._send(system, request, form)
                    sent += 1
        return sent

    def controls(self):
        """Send requests that violate the document: a mock that finds none would make this check void."""
        wrong = {"openai": {"settings": {"speed": 9}}, "hume": {"settings": {"temperature": "hot"}}}
        changes = wrong.get(self.name, {"format": "mp3_1_1"})
        system, declaration = self._open(**changes)
        before = len(self.server.violations)
        with suppress(RequestFailed):
            system.send(cases.requests_of(system, declaration, cases.SCRIPTS[0])[0])
        if len(self.server.violations) == before:
            self.problems.append(f"{changes} violates the document, but the mock accepts it")
        del self.server.violations[before:]
        return 1

    def limits(self):
        """Compare the declared limit with the document's, where it states one."""
        text = self.document.fields.get("input", {})
        _, declaration = self._open()
        if "maxLength" not in text:
            return 0
        if declaration.limit_characters != text["maxLength"]:
            self.problems.append(f"limit_characters={declaration.limit_characters}, not {text['maxLength']}")
        return 1

    def sounds(self):
        """Answer with every format, with stated lengths, in chunks, and as events."""
        done = 0
        for vendor_format in cases.formats_of(self.name, self.document):
            if vendor_format.partition("_")[0] in UNREADABLE_FORMATS:
                with suppress(UserError):
                    self._open(format=vendor_format)
                    self.problems.append(f"format {vendor_format} is accepted but cannot be decoded")
                continue
            declared = cases.declared_format(self.name, vendor_format)
            content, rate = cases.sound_in(declared)
            contents = {"whole": content}
            if content.startswith(b"RIFF"):
                contents["without sizes"] = cases.streamed_wav(content)
            for kind, sound in contents.items():
                for chunk in (0, 1000):
                    answer = self._sound(sound, chunk)
                    self._hear(f"{declared}, {kind}, chunks of {chunk}", declared, rate, answer)
                    done += 1
            if self.name == "openai":
                for line in ("\n", "\r\n"):
                    settings = {"stream_format": "sse"}
                    answer = cases.events_of(content, line=line)
                    self._hear(f"{declared}, events", declared, rate, answer, settings=settings)
                    done += 1
        return done

    def errors(self):
        """Answer with every error; the client must end the run, fail the take, or repeat the request."""
        system, declaration = self._open()
        request = cases.requests_of(system, declaration, cases.SCRIPTS[0])[0]
        done = 0
        for status, expected in cases.STATUSES.items():
            for notation, (content_type, body) in cases.BODIES.items():
                answer = Answer(status, content_type, cases.encoded(body), {"retry-after": "3"})
                self._fail(system, request, f"{status} with {notation}", answer, expected, wait=3.0)
                done += 1
        for status in self.document.operation["responses"]:
            if status.isdecimal() and int(status) >= 300:
                answer = self.server.documented_error(*self._raw(request), int(status))
                self._fail(system, request, f"documented {status}", answer, cases.STATUSES[int(status)])
                done += 1
        for code, status in cases.EXHAUSTED.get(self.name.partition("_")[0], {}).items():
            body = cases.encoded({"error": {"code": code}, "detail": {"status": code}})
            answer = Answer(status, "application/json", body)
            self._fail(system, request, code, answer, cases.STOP)
            done += 1
        sound, _ = cases.sound_in("wav_24000")
        for chunk in (0, 1000):
            answer = replace(self._sound(sound, chunk), cut=True)
            self._fail(system, request, f"a broken connection, chunks of {chunk}", answer, cases.RETRY)
            done += 1
        return done + (self._broken_events() if self.name == "openai" else 0)

    def sdk(self):
        """Compare the requests with those that the SDK's own types and the generic client make."""
        if self.with_times:  # the same body as without
            return 0
        self.server.answer = self._answer_for({})
        system, declaration = self._open()
        done = 0
        for script in cases.SCRIPTS:
            before = len(self.server.bodies)
            for request in cases.requests_of(system, declaration, script):
                self._send(system, request, "as shipped")
            ours = self.server.bodies[before:]
            for source, send in sdk_bodies(self.name, self.server.url, declaration, script):
                before = len(self.server.bodies)
                send()
                if self.server.bodies[before:] != ours:
                    self.problems.append(f"{source}: {self.server.bodies[before:]} is not {ours}")
                done += 1
        return done

    def _open(self, **changes):
        if self.with_times:
            settings = changes.get("settings", load_declared(self.name)["settings"])
            changes = {**changes, "settings": {**settings, "with_timestamps": True}}
        return cases.open_system(self.name, self.server.url, **changes)

    def _sound(self, content, chunk=0):
        return cases.timed_answer(content, chunk) if self.with_times else Answer(content=content, chunk=chunk)

    def _answer_for(self, changes):
        content, _ = cases.sound_in("wav_24000")
        sse = changes.get("settings", {}).get("stream_format") == "sse"
        return cases.events_of(content) if sse else self._sound(content)

    def _send(self, system, request, form):
        before = len(self.server.violations)
        try:
            system.send(request)
        except RequestFailed as failure:
            self.problems.append(f"{form}: the client failed: {failure.kind}: {failure.message}")
        self.problems += [f"{form}: {violation}" for violation in self.server.violations[before:]]

    def _hear(self, case, declared, rate, answer, **changes):
        self.server.answer = answer
        system, declaration = self._open(format=declared, **changes)
        try:
            response = system.send(cases.requests_of(system, declaration, cases.SCRIPTS[0])[0])
            if not cases.is_the_tone(decode_audio(response.audio, declared), rate):
                self.problems.append(f"{case}: the sound is another one")
        except (RequestFailed, InvalidAudio) as failure:
            self.problems.append(f"{case}: {failure.kind}: {failure}")

    def _fail(self, system, request, case, answer, expected, wait=None):
        self.server.answer = answer
        try:
            system.send(request)
        except RequestFailed as failure:
            outcome = cases.STOP if failure.fatal else cases.RETRY if failure.retryable else cases.FINAL
            if outcome != expected:
                self.problems.append(f"{case}: {outcome}, not {expected} ({failure.message})")
            if wait is not None and failure.retry_after != wait:
                self.problems.append(f"{case}: waits {failure.retry_after} s, not {wait}")
            if not failure.message or KEY in failure.message:
                self.problems.append(f"{case}: the message is {failure.message!r}")
        else:
            self.problems.append(f"{case}: no failure")

    def _broken_events(self):
        system, declaration = self._open(settings={"stream_format": "sse"})
        request = cases.requests_of(system, declaration, cases.SCRIPTS[0])[0]
        content, _ = cases.sound_in("wav_24000")
        error = cases.encoded({"error": {"message": "m", "type": "server_error"}})
        broken = {
            "events that end early": cases.events_of(content, done=False),
            "an event of an error": Answer(200, "text/event-stream", b"data: " + error + b"\n\n"),
            "a damaged event": Answer(200, "text/event-stream", b'data: {"type": "speech\n\n'),
            "no events": Answer(200, "text/event-stream", b""),
        }
        for case, answer in broken.items():
            self._fail(system, request, case, answer, cases.RETRY)
        return len(broken)

    def _raw(self, request):
        """Return path, headers and body of a request as it was sent last."""
        body = dict(self.server.bodies[-1])
        path = body.pop("path")
        headers = {"authorization": f"Bearer {KEY}", "xi-api-key": KEY}
        return path, headers, body


def checks():
    """Return each client with the document that it is checked against."""
    dialogue = "/v1/text-to-dialogue"
    return [
        Subject("openai", documents.OPENAI, "/audio/speech"),
        Subject("elevenlabs", documents.ELEVENLABS, dialogue),
        Subject("elevenlabs", documents.ELEVENLABS, f"{dialogue}/with-timestamps", with_times=True),
        Subject("elevenlabs_turns", documents.ELEVENLABS, "/v1/text-to-speech/{voice_id}"),
        Subject("hume"),
    ]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder that scripts/fetch_vendor_documents.sh filled")
    folder = parser.parse_args().folder.resolve()
    for key in KEYS:
        os.environ[key] = KEY
    prism = subprocess.run(
        [folder / "node_modules/.bin/prism", "--version"], capture_output=True, text=True, check=True
    )
    sdks = ", ".join(f"{name} {version(name)}" for name in ("openai", "elevenlabs", "hume"))
    print(f"Prism {prism.stdout.strip()}; SDKs: {sdks}", flush=True)
    problems = 0
    for subject in checks():
        document = subject.read(folder)
        with (
            tempfile.TemporaryDirectory() as temporary,
            serving_document(folder, document, Path(temporary)) as server,
        ):
            check = Check(subject.name, document, server, subject.with_times)
            check.run()
        counts = ", ".join(f"{number} {part}" for part, number in check.counts.items())
        source = f"{document.source}, version {document.version}"
        print(f"{subject.name} {document.path}: {source}: {counts}", flush=True)
        for problem in dict.fromkeys(check.problems):
            print(f"  - {problem}", flush=True)
        problems += len(check.problems)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
