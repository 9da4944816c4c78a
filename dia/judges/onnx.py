"""Models in ONNX's format."""

from typing import Any


def session_of_one_thread(path: str) -> Any:
    """Return an onnxruntime session on one thread of the CPU, whose sums do not depend on the machine's
    cores.

    Raises ``ValueError`` for a file that is no model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way in which a file is no model
        raise ValueError(f"{path} is no ONNX model: {error}") from error
