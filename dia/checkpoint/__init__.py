"""Checkpoints: read any layout (nari, transformers, Lightning, ours), write what transformers opens."""

from dia.checkpoint.codec import CodecReference
from dia.checkpoint.folder import Checkpoint, convert, load_checkpoint, save_checkpoint
from dia.checkpoint.source import Source, read_config, read_source

__all__ = [
    "Checkpoint",
    "CodecReference",
    "Source",
    "convert",
    "load_checkpoint",
    "read_config",
    "read_source",
    "save_checkpoint",
]
