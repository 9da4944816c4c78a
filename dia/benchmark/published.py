"""Published speeds of Dia-1.6B, for the tables of GPU runs; none of the sources describes its measurement."""

FRAMES_PER_SECOND = 86.13  # decoder steps for each second of audio

# hardware and setting, decoder steps a second, seconds of audio a second, source
PUBLISHED_SPEEDS: list[tuple[str, float | None, float | None, str]] = [
    ("RTX 4090, bf16, compiled", None, 2.1, "nari-labs/dia README; 4.4 GB"),
    ("RTX 4090, bf16, eager", None, 1.5, "nari-labs/dia README; 4.4 GB"),
    ("RTX 4090, fp16, compiled", None, 2.2, "nari-labs/dia README; 4.4 GB"),
    ("RTX 4090, fp16, eager", None, 1.3, "nari-labs/dia README; 4.4 GB"),
    ("RTX 4090, fp32, compiled", None, 1.0, "nari-labs/dia README; 7.9 GB"),
    ("RTX 4090, fp32, eager", None, 0.9, "nari-labs/dia README; 7.9 GB"),
    ("A4000", 40.0, None, "nari-labs/dia README at 68b5852"),
    ("A100, compiled", 192.0, 2.23, "nari-labs/dia pull request 163"),
    ("RTX 4090, compiled", 198.0, 2.30, "nari-labs/dia pull request 163"),
    ("RTX 4090, compiled, later", 230.0, None, "nari-labs/dia pull request 181, a comment"),
    ("H100, server, eager", 38.5, 0.45, "devnen/Dia-TTS-Server issue 19"),
    ("Apple, MPS, fp32", 13.2, 0.154, "nari-labs/dia pull request 288"),
    ("CPU beside it", 1.5, 0.017, "nari-labs/dia pull request 288"),
]
