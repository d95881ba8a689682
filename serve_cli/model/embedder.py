"""Embedder: an exported model in onnxruntime that turns image files or pixels into embeddings."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.contract import PIXEL_INPUT
from gluon_lifted.errors import (
    ConfigError,
    DeviceError,
    ImageError,
    LiftedError,
    RunError,
)
from gluon_lifted.hardware.cpus import instruction_sets, sums_int8
from gluon_lifted.hardware.memory import usable_memory
from gluon_lifted.images import normalize
from serve_cli.model.cuda import Cuda
from serve_cli.model.interface import check_interface, read_card
from serve_cli.model.lanes import CpuLane, GpuLane, Lane
from serve_cli.model.model_hash import model_sha256
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.pixels import check_pixels
from serve_cli.model.providers import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    first_line,
    open_session,
)
from serve_cli.model.tuning import read_tuning

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from serve_cli.choices import Device
    from serve_cli.sources.given_images import GivenImage
    from serve_cli.sources.image_row import EmbeddedImage

log = logging.getLogger(__name__)
GPU_LANES = 2  # while one copies, the other computes


class Embedder:
    """A model that turns images into embeddings. It is thread-safe and can be pickled.

    As a context manager it releases its sessions, their memory and its threads at the end of the block.

    Parameters
    ----------
    model : path
        An ONNX file with a model card inside, as `lifted export` and `lifted card` write it.
    options : ModelOptions
        Device, threads, sessions, batch size and so on; by default the CPU with all its cores.
    device : {"cpu", "openvino", "gpu", "tensorrt"}, optional
        Short for ``ModelOptions(device=...)``; overrides the options' device.

    Attributes
    ----------
    card : ModelCard
        Width of the embeddings, preprocessing and provenance.
    model : Path
        The ONNX file.
    options : ModelOptions
        The given options, with ``device`` applied.
    model_sha256 : str
        Hash of the file and its external data; see `serve_cli.model.model_hash`.
    provider : str
        The onnxruntime execution provider that runs the network.
    threads : int
        Threads of the network on the CPU, all sessions together.
    lanes : int
        Batches that can run side by side. Keep this many started.
    batch_size : int
        From the options, or the best size on this host.

    Raises
    ------
    ConfigError
        If there are more sessions than threads.
    RunError
        If the file is missing, is not ONNX, has no card, or its inputs and outputs do not match the card.
    DeviceError
        If onnxruntime is not installed or the device cannot be used.

    Examples
    --------
    >>> with Embedder("model.onnx", device="gpu") as embedder:  # doctest: +SKIP
    ...     embedder.embed_files(["photo.jpg"]).shape
    (1, 512)
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        options: ModelOptions = ModelOptions(),
        *,
        device: Device | None = None,
    ) -> None:
        self.options = replace(options, device=device or options.device)
        self.model = Path(model)
        self.model_sha256 = model_sha256(self.model)
        tuning = read_tuning(self.model_sha256, self.options.device)
        self.batch_size = options.batch_size or tuning.batch_size
        self.threads = options.num_threads
        sessions = options.sessions or min(tuning.sessions, self.threads)
        if sessions > self.threads:
            raise ConfigError(f"{sessions} sessions cannot share {self.threads} threads; give 1 to {self.threads}.")
        settled = replace(self.options, threads=self.threads, sessions=sessions)
        self._cache_key = self.model_sha256 if options.cache else None
        self.session = open_session(self.model, settled, self._cache_key)
        self.provider: str = self.session.get_providers()[0]
        self.card = read_card(self.session, self.model)
        check_interface(self.session, self.card, self.model)
        self._warn_of_inexact_int8()
        self._takes_pixels = self.session.get_inputs()[0].name == PIXEL_INPUT
        self._closed = False
        self._free: SimpleQueue[Lane] = SimpleQueue()
        for lane in self._open_lanes(settled, sessions):
            self._free.put(lane)
        self.lanes = self._free.qsize()
        self._pool = ThreadPoolExecutor(self.lanes, thread_name_prefix="network")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.options)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed cropped images.

        Parameters
        ----------
        pixels : ndarray, uint8, (N, crop, crop, 3)
            RGB, 0 to 255, cropped to the card's ``crop``.

        Returns
        -------
        ndarray, float32, (N, D)

        Raises
        ------
        ConfigError
            If the pixels have another shape or type, or the embedder is closed.
        DeviceError
            If the network fails on the device, most often for lack of memory.
        RunError
            If the network's output is not (N, D).
        """
        self._check(pixels)
        if not len(pixels):
            return np.empty((0, self.card.dim), np.float32)
        embedding = self.run(self.feed(pixels))
        if embedding.shape != (len(pixels), self.card.dim):
            raise RunError(
                f"{self.model}: output 'embedding' is {embedding.shape}; the card says "
                f"{(len(pixels), self.card.dim)}. Export the model again."
            )
        return np.asarray(embedding, np.float32)

    def embed_files(self, images: Iterable[GivenImage]) -> NDArray[np.float32]:
        """Embed image files as `lifted embed` does, bit for bit.

        Use this instead of resizing images yourself. An image is turned upright, converted to RGB, resized, cropped and
        normalized as the model card says. With a different interpolation or crop, embeddings look right but do not
        match: a search with images resized by hand found only 22 % of them again.

        Parameters
        ----------
        images : iterable of path, bytes or PIL.Image.Image
            Paths or URLs, contents of image files, and Pillow's images, in any order and mixed. The iterable is
            consumed as needed. A JPEG that Pillow has already decoded gives a slightly different embedding than its
            file, which is decoded at a smaller scale where that suffices.

        Returns
        -------
        ndarray, float32, (N, D)
            In the order of the images.

        Raises
        ------
        ImageError
            If an image cannot be read. The message names its index and path. `embed_each` continues instead.
        ConfigError
            If ``images`` is a single image, an item is none of the three, or the embedder is closed.
        DeviceError, RunError
            As for `embed`.

        Notes
        -----
        Images are decoded in threads while the network runs on batches of ``batch_size``. The last batch is padded, so
        an embedding does not depend on the other images. To embed single images quickly, open the model with
        ``ModelOptions(batch_size=1)``.

        Examples
        --------
        >>> with Embedder("model.onnx") as embedder:  # doctest: +SKIP
        ...     embedder.embed_files(["photos/a.jpg", "photos/b.png"]).shape
        (2, 512)
        """
        embeddings = []
        with closing(self.embed_each(images)) as embedded:
            for index, image in enumerate(embedded):
                if image.error is not None:
                    reason = image.error.removeprefix(f"{image.name}: ")
                    raise ImageError(f"images[{index}], {image.name}: {reason} To keep the others, use embed_each.")
                embeddings.append(image.embedding)
        return np.stack(embeddings) if embeddings else np.empty((0, self.card.dim), np.float32)

    def embed_each(self, images: Iterable[GivenImage]) -> Generator[EmbeddedImage, None, None]:
        """Embed images as `embed_files` does, one result per image, for any number of images.

        Memory does not grow with their number. An image that cannot be read gives a result with an ``error``.

        Yields
        ------
        EmbeddedImage
            In the order of the images.

        Examples
        --------
        >>> for image in embedder.embed_each(paths):  # doctest: +SKIP
        ...     print(image.name, image.error or image.embedding[:3])
        """
        from serve_cli.embed.embed_rows import embed_rows
        from serve_cli.embed.memory_budget import decoding_within
        from serve_cli.sources.given_images import given_images
        from serve_cli.sources.image_row import EmbeddedImage

        self._require_open()
        decoding = decoding_within(usable_memory() // 2, self.threads)
        batches = embed_rows(self, given_images(images), self.batch_size, decoding)
        return (
            EmbeddedImage(row.id, embedding, error)
            for batch in batches
            for row, embedding, error in zip(batch.rows, batch.embedding, batch.errors, strict=True)
        )

    def start(self, pixels: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Embed in the background, as `embed` does. Up to ``lanes`` batches run side by side."""
        self._check(pixels)
        return self._pool.submit(self.embed, pixels)

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Prepare the network's input from cropped images: the pixels, or float32 (N, 3, crop, crop)."""
        return np.ascontiguousarray(pixels) if self._takes_pixels else normalize(pixels, self.card.preprocessing)

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """Run the network alone on the output of `feed`. Raises `DeviceError` if it fails."""
        lane = self._free.get()
        try:
            return lane.run(feed)
        except LiftedError:
            raise
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise DeviceError(
                f"{self.model}: the network failed on a batch of {len(feed)} images ({first_line(error)}). "
                "If memory ran out, use a smaller --batch-size."
            ) from error
        finally:
            self._free.put(lane)

    def close(self) -> None:
        """Finish the started batches, then release sessions and threads. The embedder cannot be used afterwards."""
        self._pool.shutdown()
        self._closed = True
        while not self._free.empty():
            self._free.get()
        self.session = None  # onnxruntime frees it with its last reference

    def __enter__(self) -> Embedder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        """Raise `ConfigError` if the embedder is closed or the pixels have another shape or type."""
        self._require_open()
        check_pixels(pixels, self.card.preprocessing.crop)

    def _require_open(self) -> None:
        if self._closed:
            raise ConfigError(f"{self.model}: the embedder is closed; open another one.")

    def _warn_of_inexact_int8(self) -> None:
        int8_on_cpu = self.provider == CPU and self.card.provenance.get("precision") == "int8"
        if int8_on_cpu and not sums_int8(instruction_sets()):
            log.warning(
                "lifted: %s: this processor lacks VNNI, so int8 sums saturate and embeddings are less accurate.",
                self.model,
            )

    def _open_lanes(self, options: ModelOptions, sessions: int) -> list[Lane]:
        if self.provider in (CUDA, TENSORRT):
            memory = Cuda()
            return [GpuLane(self.session, memory, self.card.dim) for _ in range(GPU_LANES)]
        # Sessions with one thread run in the caller's thread, so one can be shared; OpenVINO has its own threads.
        if options.session_threads == 1 or self.provider == OPENVINO:
            return [CpuLane(self.session)] * sessions
        others = [open_session(self.model, options, self._cache_key) for _ in range(sessions - 1)]
        return [CpuLane(session) for session in (self.session, *others)]
