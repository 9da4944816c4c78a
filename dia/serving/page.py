"""The page at `/`: write a script, hear it, compare takes, make voices. It needs no other host.

Template, styles and scripts are `dia/resources/templates/speak*`. The page uses the public endpoints only.
"""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse

from dia.checkpoint.locate import locate, resolve_checkpoint
from dia.codecs.protocol import frames_per_second
from dia.config.voice import LONGEST, SHORTEST
from dia.dialogue.examples import example_scripts
from dia.dialogue.tags import known_tags
from dia.errors import UserError
from dia.html import data_block, render_page
from dia.inference.speech import OVERRIDES
from dia.model import Dia
from dia.serving.server import Server, ServerOf

SCRIPTS = tuple(
    f"speak{name}.js" for name in ("_audio", "_waveform", "", "_editor", "_takes", "_voices", "_start")
)
AUDIO_SUFFIXES = {".flac", ".wav", ".mp3", ".ogg"}  # of the clips beside a listening test
LONGEST_CARD = 100_000  # characters of a model card that are shown
SAMPLING_FIELDS = (  # name, label, lowest, highest, step
    ("cfg_scale", "Guidance", 1, 10, 0.1),
    ("temperature", "Temperature", 0, 3, 0.05),
    ("top_p", "Top p", 0.01, 1, 0.01),
    ("cfg_filter_top_k", "Top k", 1, 1000, 1),
)
router = APIRouter()


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def speak_page(request: Request, server: ServerOf) -> HTMLResponse:
    """Return the page."""
    html = render_speak_page(server, needs_key=bool(request.app.state.key))
    return HTMLResponse(html, headers={"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"})


@router.get("/pages/{number}/{path:path}", include_in_schema=False)
async def linked_page(number: int, path: str, server: ServerOf) -> FileResponse:
    """Return a report or a listening test that the page links to, or an audio file beside it."""
    if not 0 <= number < len(server.config.pages):
        raise HTTPException(404, f"there is no page {number}")
    page = Path(server.config.pages[number]).resolve()
    file = (page.parent / path).resolve()
    is_clip = file.suffix in AUDIO_SUFFIXES and file.is_relative_to(page.parent)
    if not (file == page or is_clip) or not file.is_file():
        raise HTTPException(404, f"the page {page.name} has no file {path[:64]!r}")
    return FileResponse(file)


def missing_pages(pages: list[str]) -> list[str]:
    """Return a sentence about each linked page that cannot be served."""
    return [
        f"pages: {page} is no HTML file; name a report or a listening test"
        for page in pages
        if Path(page).suffix != ".html" or not Path(page).is_file()
    ]


def render_speak_page(server: Server, *, needs_key: bool) -> str:
    """Return the HTML of the page."""
    dia, config = server.dia, server.config
    voice = {"shortest": SHORTEST, "longest": LONGEST}
    sampling = {name: getattr(dia.default_sampling, name) for name in OVERRIDES}
    entries = dia.vocabulary.entries if dia.vocabulary else None
    known = [tag for tag in known_tags() if entries is None or f"({tag})" in entries]
    missing = server.recognition.missing
    setup = {
        "tags": known,
        "sampling": sampling,
        "needs_key": needs_key,
        "recognition": missing,
        "voice": voice,
    }
    return render_page(
        "speak.html.j2",
        styles=("speak.css",),
        scripts=SCRIPTS,
        media="'self' blob:",
        connect="'self'",
        title="Dia",
        model=config.ckpt,
        about=_about(dia),
        needs_key=needs_key,
        known_tags=known,
        other_tags=[tag for tag in known_tags() if tag not in known],
        example=next(iter(example_scripts(dia.vocabulary)), "[S1] "),
        sampling=sampling,
        sampling_fields=SAMPLING_FIELDS,
        recognition=missing,
        voice=voice,
        limits=_limits(dia),
        card=_card(config.ckpt),
        pages=[
            (Path(page).name, f"/pages/{number}/{Path(page).name}")
            for number, page in enumerate(config.pages)
        ],
        setup=data_block(setup),
    )


def _about(dia: Dia) -> str:
    millions = sum(parameter.numel() for parameter in dia.network.parameters()) / 1e6
    return f"{millions:,.1f} million parameters, codec {dia.codec.name}, {dia.codec.sample_rate:,} Hz"


def _limits(dia: Dia) -> list[str]:
    """Return sentences about what the model can speak."""
    seconds = dia.network.config.max_frames / frames_per_second(dia.codec)
    words = (
        "It was not trained on a fixed list of words."
        if dia.vocabulary is None
        else f"It was trained on {len(dia.vocabulary.entries)} words and tags, and does not speak others "
        "intelligibly."
    )
    return [
        f"One pass speaks up to {seconds:.0f} s; longer scripts are split into pieces.",
        words,
        "It speaks English, as far as it was not trained on other languages.",
        "A seed does not fix a voice: another text has another voice, unless you choose one.",
        "What it speaks is synthetic: say so where you publish it, and imitate nobody without consent.",
    ]


@cache
def _card(name: str) -> str:
    """Return the model card beside the weights; empty without one."""
    try:
        located = locate(resolve_checkpoint(name))
    except (UserError, OSError):  # it was opened before, and may have moved since
        return ""
    card = located.weights[0].parent / "README.md" if located.weights else None
    if card is None or not card.is_file():
        return ""
    return card.read_text(encoding="utf-8", errors="replace")[:LONGEST_CARD]
