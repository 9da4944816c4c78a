"""How a name or a path becomes a codec."""

from pathlib import Path

from dia.codecs.dac import download_dac, load_dac
from dia.codecs.protocol import Codec
from dia.codecs.spectral import load_spectral, read_config
from dia.errors import UserError
from dia.resources import SHIPPED_CODECS, shipped_model

DAC_NAMES = {"dac_44khz": "44khz", "dac_24khz": "24khz", "dac_16khz": "16khz"}
DAC_RATES = {
    "dac_44khz": 44_100 / 512,
    "dac_24khz": 24_000 / 320,
    "dac_16khz": 16_000 / 320,
}  # frames a second
DAC_SHAPES = {"dac_44khz": (9, 1024), "dac_24khz": (32, 1024), "dac_16khz": (12, 1024)}


def load_codec(name: str, device: str = "cpu") -> Codec:
    """Open a shipped codec, a DAC by name, a DAC `.pth` file, or the folder of a spectral codec.

    Raises :class:`UserError` for an unknown name (listing what exists) and for missing or damaged files.
    """
    if name in SHIPPED_CODECS:
        return load_spectral(shipped_model(name), name, device)
    if name in DAC_NAMES:
        return load_dac(download_dac(DAC_NAMES[name]), name, device)
    path = Path(name)
    if name and path.is_dir():
        return load_spectral(path, name, device)
    if path.is_file():
        return load_dac(path, name, device)
    raise unknown_codec(name)


def folder_of(name: str) -> Path:
    """Return where a spectral codec lies: a shipped one by its name, else the path."""
    return shipped_model(name) if name in SHIPPED_CODECS else Path(name)


def known_shape(name: str) -> tuple[int, int] | None:
    """Return a codec's channels and codebook size without opening its weights; None where only they would
    tell.

    Raises :class:`UserError` for an unknown name.
    """
    if name in DAC_SHAPES:
        return DAC_SHAPES[name]
    folder = folder_of(name)
    if name and folder.is_dir():
        config = read_config(folder)
        return config.codebooks, config.codebook_size
    if folder.is_file():
        return None
    raise unknown_codec(name)


def known_frame_rate(name: str) -> float | None:
    """Return a codec's frames a second without opening its weights; None where only they would tell.

    Raises :class:`UserError` for an unknown name.
    """
    if name in DAC_RATES:
        return DAC_RATES[name]
    if known_shape(name) is None:
        return None
    config = read_config(folder_of(name))
    return config.sample_rate / (config.hop * config.stride)


def unknown_codec(name: str) -> UserError:
    """Return the error for a name that is no codec's."""
    known = ", ".join((*SHIPPED_CODECS, *DAC_NAMES))
    return UserError(
        f"there is no codec {name!r}; name one of {known}, a DAC .pth file, or the folder of a spectral codec"
    )


def lasting_name(name: str) -> str:
    """Return what opens the same codec from any working directory."""
    return name if name in SHIPPED_CODECS or name in DAC_NAMES else str(Path(name).resolve())
