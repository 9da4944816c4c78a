"""Matrix products of a few rows, and attention, in C++ that torch compiles for this processor.

Without a C++ compiler, or where `DIA_NATIVE=0`, :func:`native_products` returns False, and callers use
torch's own products.

Legend: B rows, I inputs, O outputs, G groups of 32 inputs.
"""

import hashlib
import logging
import os
import shutil
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "products.cpp"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-std=c++20")
SWITCH = "DIA_NATIVE"
LOADED = False  # whether the operators exist; compiled code can read a value, but compile no library
logger = logging.getLogger(__name__)


@cache
def native_products() -> bool:
    """Return whether the operators `torch.ops.dia_native` exist; the first call on a machine compiles them.

    Compiling takes about twenty seconds; the result lies in torch's folder of extensions.
    """
    if os.environ.get(SWITCH) == "0" or not torch.backends.openmp.is_available():
        return False
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it reports that CUDA is missing
    from torch.utils.cpp_extension import load

    try:
        _find_ninja()
        load(_name(), [str(SOURCE)], extra_cflags=list(FLAGS), is_python_module=False)
    except (ImportError, OSError, RuntimeError) as error:  # no compiler, or a folder that cannot be written
        reason = str(error).strip().partition("\n")[0]
        logger.warning(
            "the products of dia/native cannot be compiled (%s); torch's are used, which are slower. Install "
            "g++, or set %s=0 to hide this message",
            reason,
            SWITCH,
        )
        return False
    _register_shapes()
    global LOADED
    LOADED = True
    return True


def usable() -> bool:
    """Return whether the operators exist; inside of torch.compile, whether they were loaded before it."""
    return LOADED if torch.compiler.is_compiling() else native_products()


def _find_ninja() -> None:
    """Put the package's ninja on the path of programs, where torch looks for it."""
    from ninja import BIN_DIR

    if shutil.which("ninja") is None:
        os.environ["PATH"] = os.pathsep.join((BIN_DIR, os.environ.get("PATH", "")))


def _name() -> str:
    """A name that differs for another source, processor or version of torch."""
    processor = torch.backends.cpu.get_cpu_capability()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8").splitlines()
        processor += next((line for line in lines if line.startswith("flags")), "")
    sources = [path.read_text(encoding="utf-8") for path in (SOURCE, *sorted(FOLDER.glob("*.h")))]
    content = "\n".join((*sources, processor, torch.__version__, *FLAGS))
    return f"dia_native_{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _register_shapes() -> None:
    """Tell the compiler the shape (B, O) of each product."""
    for name in ("linear_fp32", "linear_bf16", "linear_int8", "linear_int4"):
        torch.library.register_fake(f"dia_native::{name}")(_shape)
    torch.library.register_fake("dia_native::attend")(_attention_shape)


def _shape(x_BI: Tensor, weight_OI: Tensor, *others: Tensor) -> Tensor:
    return x_BI.new_empty(len(x_BI), len(weight_OI))


def _attention_shape(queries_BNTH: Tensor, *others: Tensor) -> Tensor:
    return torch.empty_like(queries_BNTH.transpose(1, 2), memory_format=torch.contiguous_format).transpose(
        1, 2
    )
