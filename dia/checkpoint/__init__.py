"""Checkpoints: read any layout (nari, transformers, Lightning, ours), write what transformers opens."""

from dia.checkpoint.codec import CodecReference
from dia.checkpoint.load import Checkpoint, load_checkpoint
from dia.checkpoint.save import convert, save_checkpoint
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
