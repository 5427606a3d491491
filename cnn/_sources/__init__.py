"""Sources of rows: arrays, files, iterables and tables, read in chunks, ahead, and shuffled."""

from cnn._sources.chunks import Check, Chunk, Order, Source, joined
from cnn._sources.opening import opened
from cnn._sources.reader import Reader

__all__ = ["Check", "Chunk", "Order", "Reader", "Source", "joined", "opened"]
