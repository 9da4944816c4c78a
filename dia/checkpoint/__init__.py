"""Reading and writing checkpoints, in the layout that transformers opens."""

from dia.checkpoint.folder import Checkpoint, CodecReference, load_checkpoint, save_checkpoint

__all__ = ["Checkpoint", "CodecReference", "load_checkpoint", "save_checkpoint"]
