"""Draw the three routes of docs/architecture.md as SVG files: ``python scripts/draw_routes.py FOLDER``.

Each step of a route names the module that does it; `tests/test_docs.py` checks that the modules exist and
that the committed pictures are what this script draws.
"""

import sys
from html import escape
from pathlib import Path

Step = tuple[str, str, str]  # what happens, the module that does it, what it passes on

ROUTES: dict[str, list[Step]] = {
    "data": [
        ("Read a corpus", "dia/data/sources", "audio and labels of one clip"),
        ("Map labels, build the script", "dia/data/clip.py", "script, turns, nonverbals, emotion"),
        ("Encode with the codec", "dia/data/tokenization.py", "tokens (frames, channels)"),
        ("Write shards on an engine", "dia/data/shards.py", "Arrow shards with checksums"),
        ("Open the prepared data set", "dia/data/prepared.py", "rows of a split"),
        ("Choose the text by the recipe", "dia/data/labels.py", "text bytes and tokens"),
        ("Delay, pad, batch", "dia/data/batching.py", "a batch (B, T, C)"),
        ("Compute the loss", "dia/training/dia_module.py", ""),
    ],
    "speech": [
        ("Open checkpoint and codec", "dia/inference/loading.py", "network, codec, sampling values"),
        ("Check arguments and voice", "dia/model.py", "requests"),
        ("Build the prompt", "dia/inference/prompt.py", "text bytes, prompt tokens"),
        ("Decode step by step", "dia/inference/batch.py", "delayed tokens (T, C)"),
        ("Undo the delay pattern", "dia/codecs/delay.py", "tokens (frames, channels)"),
        ("Decode to audio", "dia/inference/synthesizer.py", "waveform (samples,)"),
        ("Check quality, generate again", "dia/inference/guard.py", "waveform and findings"),
        ("Change the pace", "dia/audio/stretch.py", ""),
    ],
    "run": [
        ("Compose, validate the recipe", "dia/config/compose.py", "TrainConfig"),
        ("Check data, codec, memory", "dia/pipelines/preflight.py", "all problems at once"),
        ("Initialize the network", "dia/pipelines/build_model.py", "weights"),
        ("Train, validate, save", "dia/pipelines/train_dia.py", "checkpoints, metrics.csv"),
        ("Export the model", "dia/training/export.py", "model/ for transformers and dia"),
        ("Generate takes of a suite", "dia/pipelines/evaluation/generate_takes.py", "waveforms, cached"),
        ("Score takes, compare systems", "dia/evaluation/scoring.py", "values, intervals, p-values"),
        ("Write the report", "dia/pipelines/evaluation/write_results.py", ""),
    ],
}
COLUMNS, WIDTH, HEIGHT, GAP, ROW_GAP, MARGIN = 2, 300, 76, 26, 62, 16
STYLE = """
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; fill: #1c2733 }
.what { font-size: 14px; font-weight: 600 }
.module { font: 11.5px ui-monospace, Menlo, Consolas, monospace; fill: #3b5b92 }
.passes { font-size: 11.5px; fill: #5b6875 }
.box { fill: #f4f7fb; stroke: #9db3d1; stroke-width: 1.2 }
.arrow { stroke: #6b7c93; stroke-width: 1.5; fill: none }
"""


def draw(steps: list[Step]) -> str:
    """Return a route as SVG: rows of boxes, read from left to right and from top to bottom."""
    rows = -(-len(steps) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP
    height = 2 * MARGIN + rows * (HEIGHT + ROW_GAP) - ROW_GAP + 24
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="#6b7c93"/></marker>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<style>{STYLE}</style><defs>{head}</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, step in enumerate(steps):
        parts.append(_box(place, step))
        if place + 1 < len(steps):
            parts.append(_arrow(place))
    return "\n".join([*parts, "</svg>", ""])


def _corner(place: int) -> tuple[int, int]:
    row, column = divmod(place, COLUMNS)
    return MARGIN + column * (WIDTH + GAP), MARGIN + row * (HEIGHT + ROW_GAP)


def _box(place: int, step: Step) -> str:
    x, y = _corner(place)
    what, module, passes = map(escape, step)
    lines = [
        f'<rect class="box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="what" x="{x + 12}" y="{y + 29}">{place + 1}. {what}</text>',
        f'<text class="module" x="{x + 12}" y="{y + 54}">{module.removeprefix("dia/")}</text>',
    ]
    if passes:
        lines.append(f'<text class="passes" x="{x + 12}" y="{y + HEIGHT + 19}">→ {passes}</text>')
    return "\n".join(lines)


def _arrow(place: int) -> str:
    x, y = _corner(place)
    next_x, next_y = _corner(place + 1)
    if next_y == y:
        middle = y + HEIGHT // 2
        path = f"M{x + WIDTH} {middle}H{next_x - 2}"
    else:
        turn = y + HEIGHT + ROW_GAP - 22
        path = f"M{x + WIDTH // 2 + 90} {y + HEIGHT}V{turn}H{next_x + 40}V{next_y - 2}"
    return f'<path class="arrow" d="{path}" marker-end="url(#head)"/>'


def main(folder: str) -> None:
    """Write ``route-NAME.svg`` of every route into ``folder``."""
    for name, steps in ROUTES.items():
        (Path(folder) / f"route-{name}.svg").write_text(draw(steps), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
