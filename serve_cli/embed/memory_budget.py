"""Divide the memory of a run between the network, waiting rows and images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.memory import resident_memory, return_large_blocks, usable_memory
from gluon_lifted.images import MAX_PIXELS, DecodeLimits
from serve_cli.embed.decoding import Decoding
from serve_cli.embeddings.embedding_folder import GROUP_BYTES, GROUP_ROWS
from serve_cli.sources.image_row import MAX_IMAGE_BYTES
from serve_cli.sources.source import ReadingMemory

if TYPE_CHECKING:
    from serve_cli.embed.embed_options import EmbedOptions
    from serve_cli.model.embedder import Embedder
    from serve_cli.sources.source import Source

LEAST_FOR_IMAGES = 32 << 20  # decoding a photograph of 24 megapixels takes a fraction of it
ROUND_MB = 50  # rounds the suggested limit up, as the network's memory varies between runs
FILES_SHARE, PIXELS_SHARE = 0.25, 0.65  # of the memory for images; allocators keep the rest
ROW_BYTES = 1 << 11  # per row that waits to be written, without its embedding
COPIES_CARRIED = 3
NUMBER_COPIES = 4 * 3  # bytes of three float32 copies: as computed, regrouped, in Arrow


def bounded_decoding(options: EmbedOptions, source: Source, embedder: Embedder, batch_size: int) -> Decoding:
    """Choose decoding limits that keep the whole process below ``options.max_memory``.

    First runs a batch in every lane to measure the network's memory.

    Raises
    ------
    ConfigError
        If too little memory is left for images.
    """
    return_large_blocks()
    threads = options.model_options.num_threads
    max_memory = usable_memory() // 2 if options.max_memory is None else options.max_memory
    crop = embedder.card.preprocessing.crop
    pixels = np.zeros((batch_size, crop, crop, 3), np.uint8)
    with ThreadPoolExecutor(embedder.lanes) as pool:
        list(pool.map(embedder.embed, [pixels] * embedder.lanes))
    batches = Decoding(threads).batches_ahead(batch_size) + embedder.lanes + 2
    waiting = GROUP_ROWS * (NUMBER_COPIES * embedder.card.dim + ROW_BYTES)
    reading = source.memory() if source.memory is not None else ReadingMemory()
    in_source = reading.bytes + _carried(reading.row_bytes, batches * batch_size)
    taken = resident_memory() + batches * pixels.nbytes + waiting + in_source
    room = max_memory - taken
    if room < LEAST_FOR_IMAGES:
        enough = ROUND_MB * -(-(taken + LEAST_FOR_IMAGES) // (ROUND_MB * 1_000_000))
        if in_source > taken // 2:
            raise ConfigError(
                f"{reading.where}: reading it takes up to {in_source / 1e6:,.0f} MB, because a page is decompressed as "
                f"a whole, and the process may use {max_memory / 1e6:,.0f} MB of memory. Write the file with row "
                f"groups of a few images each, or give --max-memory {enough}MB or more."
            )
        raise ConfigError(
            f"{max_memory / 1e6:,.0f} MB of memory is too little: network, batches and rows take {taken / 1e6:,.0f} "
            f"MB, and images need at least {LEAST_FOR_IMAGES / 1e6:,.0f} MB. Give --max-memory {enough}MB or more, or "
            "a smaller --batch-size."
        )
    return replace(
        decoding_within(room, threads, options.pixel_limit),
        checksums=options.output.checksums,
        image_timeout=options.image_timeout,
    )


def decoding_within(room: int, threads: int, max_pixels: int = MAX_PIXELS) -> Decoding:
    """Divide ``room`` bytes of memory between image files and their pixels."""
    limits = DecodeLimits(max_pixels, int(PIXELS_SHARE * room))
    return Decoding(threads, limits, min(int(FILES_SHARE * room / threads), MAX_IMAGE_BYTES))


def _carried(row_bytes: int, rows_in_flight: int) -> int:
    """Estimate the bytes of carried columns: in flight, and waiting to be written as Arrow and parquet pages."""
    return row_bytes * rows_in_flight + COPIES_CARRIED * min(row_bytes * GROUP_ROWS, GROUP_BYTES + row_bytes)
