"""Sessions for ONNX models."""

from typing import Any


def session_of_one_thread(path: str) -> Any:
    """Return an onnxruntime session on one CPU thread, so that results do not depend on the number of cores.

    Raises ``ValueError`` for a file that is not an ONNX model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has one class per cause, without a common base
        raise ValueError(f"{path} is not an ONNX model: {error}") from error
