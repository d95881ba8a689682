"""Service: a model, its batcher and possibly an index, opened together. ServiceHolder switches to another on reload."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from gluon_lifted.errors import ConfigError, LiftedError
from serve_cli.http.batching.batcher import Batcher
from serve_cli.http.batching.errors import DeadlineError, QueueFullError
from serve_cli.http.errors import RequestError
from serve_cli.http.memory import ServiceMemory
from serve_cli.http.service_observer import Unobserved
from serve_cli.model.embedder import Embedder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from gluon_lifted.images import DecodeLimits
    from serve_cli.http.search_index import IndexSearch
    from serve_cli.http.serve_options import ServeOptions
    from serve_cli.http.service_observer import ServiceObserver
    from serve_cli.retrieval.search.index import Index

Value = TypeVar("Value")
log = logging.getLogger(__name__)


class Service:
    """What is served. It never changes. Open it with `Service.open`.

    Attributes
    ----------
    name : str
        Name of the model in replies.
    embedder : Embedder
        The model.
    batcher : Batcher
        Embeds the images of requests.
    index : Index or None
        None if a model is served alone.
    index_search : IndexSearch or None
        Searches the index.
    memory : ServiceMemory
        How much memory requests may take.
    """

    def __init__(
        self, options: ServeOptions, embedder: Embedder, index: Index | None, observer: ServiceObserver
    ) -> None:
        self.name, self.embedder, self.index = options.name or embedder.card.name, embedder, index
        self.memory = ServiceMemory.divide(options, embedder)
        self.index_search = None if index is None else _ready_to_search(index, self.memory.decoding)
        self.batcher = Batcher(embedder, self.memory.decoding, options.max_waiting, observer)
        self._most_calls, self._calls, self.users = options.max_waiting, 0, 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(embedder.threads, thread_name_prefix="search")

    @classmethod
    def open(cls, options: ServeOptions, observer: ServiceObserver = Unobserved()) -> Service:
        """Open the model, and the index if the source is one.

        Raises
        ------
        RunError, DeviceError
            If they cannot be opened, or do not fit together.
        ConfigError
            If too little memory is left for requests, or a model is given twice.
        """
        if not Path(options.source).is_dir():
            if options.model is not None:
                raise ConfigError(f"{options.source}: is a model; give --model only with an index.")
            return cls(options, Embedder(options.source, options.model_options), None, observer)
        from serve_cli.retrieval.search.index import Index

        index = Index.open(options.source, options.model, options.model_options)
        try:
            return cls(options, index.embedder(), index, observer)
        except LiftedError:
            index.close()
            raise

    def require_index(self) -> IndexSearch:
        """Return the index, ready to search. Raises `RequestError` 404 if a model is served alone."""
        if self.index_search is None:
            raise RequestError(404, "this server has no index to search; start it with a folder of `lifted index`.")
        return self.index_search

    @property
    def private_paths(self) -> list[Path]:
        """Paths that replies must not show."""
        return [self.embedder.model, *([] if self.index is None else [self.index.catalog.path])]

    async def call(self, function: Callable[[], Value], deadline: float) -> Value:
        """Call a function that computes or reads files, such as a search, in a thread.

        Raises
        ------
        QueueFullError
            If too many calls are already waiting.
        DeadlineError
            If it is not finished by ``deadline``, a time of the event loop. Its thread ends later.
        """
        if self._calls >= self._most_calls:
            raise QueueFullError(f"the queue is full: {self._calls} searches are waiting; try again in 1 s.")
        with self._lock:
            self._calls += 1
        future = self._pool.submit(function)
        future.add_done_callback(self._call_ended)  # not when its caller gives up: a thread cannot be stopped
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), deadline - asyncio.get_running_loop().time())
        except asyncio.TimeoutError:
            raise DeadlineError("the answer was not ready in time; try again later.") from None

    def _call_ended(self, _: Future[Value]) -> None:
        with self._lock:
            self._calls -= 1

    def close(self) -> None:
        """Finish the admitted requests, then release model, index and threads."""
        self.batcher.close()
        self._pool.shutdown()
        if self.index is not None:
            self.index.close()  # with its model
        else:
            self.embedder.close()


def _ready_to_search(index: Index, limits: DecodeLimits) -> IndexSearch:
    from serve_cli.http.search_index import IndexSearch  # a model alone needs no Arrow, which takes 36 MB

    return IndexSearch.of(index.catalog, limits)


class ServiceHolder:
    """The current service of a process.

    Parameters
    ----------
    options : ServeOptions
        What to open, also on reload.
    observer : ServiceObserver
        Notified of the batches of all services.

    Attributes
    ----------
    draining : bool
        The server is about to end.
    on_reload : callable or None
        Called after a request has reloaded the service.
    """

    def __init__(self, options: ServeOptions, observer: ServiceObserver = Unobserved()) -> None:
        self.options, self._observer = options, observer
        self._current: Service | None = None
        self._reloading = asyncio.Lock()
        self._retired: set[Service] = set()
        self.draining, self.on_reload = False, cast("Callable[[], None] | None", None)

    @property
    def current(self) -> Service | None:
        """The service that new requests use, or None until it is open."""
        return self._current

    async def open(self) -> None:
        """Open the first service. Raises what `Service.open` raises."""
        self._current = await asyncio.to_thread(Service.open, self.options, self._observer)

    @contextmanager
    def use(self) -> Iterator[Service | None]:
        """Keep the current service open within the block, even if another one becomes current."""
        service = self._current
        if service is None:
            yield None
            return
        service.users += 1
        try:
            yield service
        finally:
            service.users -= 1
            if not service.users and service in self._retired:
                self._close_later(service)

    async def reload(self) -> Service:
        """Open model and index again and switch to them. The old ones are closed after their last request.

        Raises
        ------
        LiftedError
            If they cannot be opened or do not fit. The old ones stay.
        """
        async with self._reloading:
            try:
                new = await asyncio.to_thread(Service.open, self.options, self._observer)
            except LiftedError:
                self._observer.reloaded("kept")
                raise
            self._observer.reloaded("switched")
            old, self._current = self._current, new
            if old is not None:
                self._retired.add(old)
                if not old.users:
                    self._close_later(old)
            return new

    async def close(self) -> None:
        """Close all services. Requests must have ended."""
        services = {*self._retired, *([] if self._current is None else [self._current])}
        self._current = None
        for service in services:
            await asyncio.to_thread(service.close)

    def _close_later(self, service: Service) -> None:
        self._retired.discard(service)
        asyncio.get_running_loop().run_in_executor(None, service.close)
