"""Embedder: an exported model in onnxruntime, pixels in, embeddings out."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.contract import PIXEL_INPUT
from gluon_lifted.errors import (
    ConfigError,
    DeviceError,
    LiftedError,
    RunError,
)
from gluon_lifted.hardware.cpus import instruction_sets, sums_int8, usable_cpus
from gluon_lifted.images import normalize
from serve_cli.model.cuda import Cuda
from serve_cli.model.interface import check_interface, read_card
from serve_cli.model.lanes import CpuLane, GpuLane, Lane
from serve_cli.model.model_hash import model_sha256
from serve_cli.model.pixels import check_pixels
from serve_cli.model.providers import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    Execution,
    first_line,
    open_session,
)
from serve_cli.model.tuning import read_tuning

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

log = logging.getLogger(__name__)
GPU_LANES = 2  # one copies while the other computes


class Embedder:
    """A model that turns pixels into embeddings. Any threads may use it at once; it can be pickled.

    A context manager: its sessions, their memory and its threads are released at the end of the block.

    Parameters
    ----------
    model : path
        An ONNX file with a model card inside, as `lifted export` writes it.
    device : str
        ``"cpu"``, ``"openvino"`` (the same, by Intel's OpenVINO), ``"gpu"`` (NVIDIA, CUDA) or ``"tensorrt"`` (the
        same, by TensorRT).
    threads : int, optional
        Of the network on the CPU; by default one for each core that this process may use.
    sessions : int, optional
        Batches that go through the network side by side on the CPU, each on its share of the threads. By default
        what `lifted bench --save` found best on this machine, or one for each thread.
    allow_fallback : bool
        Take the CPU where the device cannot be used, instead of failing.
    relaxed : bool
        Let single precision be computed less exactly, and faster; see `Execution`.
    cache : bool
        Keep the optimized graph in the user's cache folder, so that the next session starts sooner.

    Attributes
    ----------
    card : ModelCard
    model : Path
    model_sha256 : str
        Of the file and its external data; see `serve_cli.model.model_hash`.
    provider : str
        onnxruntime's name of what the network runs on.
    threads : int
        All its threads on the CPU.
    lanes : int
        Batches that go side by side; so many should be under way.
    batch_size : int
        What was found best on this machine, or 8; 128 on a GPU.

    Raises
    ------
    ConfigError
        If there are more sessions than threads.
    RunError
        If the file is missing, is not ONNX, holds no card, or its inputs and outputs are not those of the card.
    DeviceError
        If onnxruntime is not installed or the device cannot be used.

    Examples
    --------
    >>> with Embedder("model.onnx", device="gpu") as embedder:  # doctest: +SKIP
    ...     embedder.embed(pixels).shape
    (32, 512)
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        device: str = "cpu",
        threads: int | None = None,
        *,
        sessions: int | None = None,
        allow_fallback: bool = False,
        relaxed: bool = False,
        cache: bool = True,
    ) -> None:
        self._arguments = (str(model), device, threads, sessions, allow_fallback, relaxed, cache)
        self.model = Path(model)
        self.model_sha256 = model_sha256(self.model)
        tuning = read_tuning(self.model_sha256, device)
        self.batch_size = tuning.batch_size
        self.threads = threads or usable_cpus()
        sessions = sessions or min(tuning.sessions, self.threads)
        if sessions > self.threads:
            raise ConfigError(f"{sessions} sessions cannot share {self.threads} threads; give 1 to {self.threads}.")
        how = Execution(device, self.threads // sessions, sessions, allow_fallback, relaxed)
        self._cache_key = self.model_sha256 if cache else None
        self.session = open_session(self.model, how, self._cache_key)
        self.provider: str = self.session.get_providers()[0]
        self.card = read_card(self.session, self.model)
        check_interface(self.session, self.card, self.model)
        if (
            self.provider == CPU
            and self.card.provenance.get("precision") == "int8"
            and not sums_int8(instruction_sets())
        ):
            log.warning(
                "lifted: %s: this processor has no VNNI; its sums of int8 saturate, and embeddings suffer.", self.model
            )
        self._takes_pixels = self.session.get_inputs()[0].name == PIXEL_INPUT
        self._closed = False
        self._free: SimpleQueue[Lane] = SimpleQueue()
        for lane in self._open_lanes(how):
            self._free.put(lane)
        self.lanes = self._free.qsize()
        self._pool = ThreadPoolExecutor(self.lanes, thread_name_prefix="network")

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, self._arguments

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed cropped images.

        Parameters
        ----------
        pixels : ndarray, uint8, (N, crop, crop, 3)
            RGB, 0 to 255, of the card's crop.

        Returns
        -------
        ndarray, float32, (N, D)

        Raises
        ------
        ConfigError
            If the pixels have another shape or type, or the embedder is closed.
        DeviceError
            If the network fails on the device, most often for want of memory.
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

    def start(self, pixels: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """As `embed`, in the background; batches that are started go side by side as far as there are lanes."""
        self._check(pixels)
        return self._pool.submit(self.embed, pixels)

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """What the network takes, of cropped images: the pixels, or float32 (N, 3, crop, crop)."""
        return np.ascontiguousarray(pixels) if self._takes_pixels else normalize(pixels, self.card.preprocessing)

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The network alone: what `feed` returned -> its output. Raises `DeviceError` if it fails."""
        lane = self._free.get()
        try:
            return lane.run(feed)
        except LiftedError:
            raise
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise DeviceError(
                f"{self.model}: the network failed on a batch of {len(feed)} images ({first_line(error)}). "
                "If memory ran out, take a smaller --batch-size."
            ) from error
        finally:
            self._free.put(lane)

    def close(self) -> None:
        """Finish the batches that were started, then release sessions and threads; no batch can be started after."""
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
        """Raise `ConfigError` unless these pixels can be embedded."""
        if self._closed:
            raise ConfigError(f"{self.model}: the embedder is closed; open another one.")
        check_pixels(pixels, self.card.preprocessing.crop)

    def _open_lanes(self, how: Execution) -> list[Lane]:
        if self.provider in (CUDA, TENSORRT):
            memory = Cuda()
            return [GpuLane(self.session, memory, self.card.dim) for _ in range(GPU_LANES)]
        if how.threads == 1 or self.provider == OPENVINO:  # callers bring their own threads, or OpenVINO has them
            return [CpuLane(self.session)] * how.sessions
        others = [open_session(self.model, how, self._cache_key) for _ in range(how.sessions - 1)]
        return [CpuLane(session) for session in (self.session, *others)]


def _open_again(
    model: str, device: str, threads: int | None, sessions: int | None, allow_fallback: bool, relaxed: bool, cache: bool
) -> Embedder:
    return Embedder(
        model, device, threads, sessions=sessions, allow_fallback=allow_fallback, relaxed=relaxed, cache=cache
    )
