"""Plain Starlette handlers, beside which `serve.py` measures `lifted serve`; it starts them.

    python benchmarks/serve_peers.py WAY MODEL PORT PREPROCESSING

``starlette`` calls the model in a thread for each request, two at a time. ``starlette-window`` collects requests for
4 ms after the first, as batching servers do. Runs of the network have one thread each.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

AT_A_TIME, BATCH, WINDOW_S = 2, 16, 0.004


class Model:
    """The exported model as its users would call it."""

    def __init__(self, path: str, preprocessing: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._resize, self._crop = preprocessing["resize"], preprocessing["crop"]
        self._mean = np.array(preprocessing["mean"], np.float32)
        self._std = np.array(preprocessing["std"], np.float32)

    def decode(self, content: bytes) -> np.ndarray:
        from PIL import Image

        image = Image.open(io.BytesIO(content)).convert("RGB")
        image = image.resize((self._resize, self._resize), Image.Resampling.BILINEAR)
        start = (self._resize - self._crop) // 2
        pixels = np.asarray(image)[start : start + self._crop, start : start + self._crop]
        if self._input == "images":
            return pixels
        return ((pixels - self._mean) / self._std).transpose(2, 0, 1).astype(np.float32)

    def embed(self, inputs: list[np.ndarray]) -> np.ndarray:
        (embedding,) = self._session.run(["embedding"], {self._input: np.stack(inputs)})
        return embedding


def starlette_app(model: Model, *, window: bool) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    pool = ThreadPoolExecutor(AT_A_TIME)
    waiting: list[tuple[bytes, asyncio.Future[np.ndarray]]] = []
    flushes: set[asyncio.Task[None]] = set()

    def flush_soon() -> None:
        task = asyncio.ensure_future(flush())
        flushes.add(task)
        task.add_done_callback(flushes.discard)

    def whole(contents: list[bytes]) -> np.ndarray:
        return model.embed([model.decode(content) for content in contents])

    async def flush() -> None:
        await asyncio.sleep(WINDOW_S)
        batch = waiting[:BATCH]
        del waiting[:BATCH]
        if waiting:
            flush_soon()
        rows = await asyncio.get_running_loop().run_in_executor(pool, whole, [content for content, _ in batch])
        for (_, done), row in zip(batch, rows, strict=True):
            done.set_result(row)

    async def embed(request: Any) -> JSONResponse:
        content, loop = await request.body(), asyncio.get_running_loop()
        if not window:
            rows = await loop.run_in_executor(pool, whole, [content])
            return JSONResponse({"embedding": rows[0].tolist()})
        done: asyncio.Future[np.ndarray] = loop.create_future()
        waiting.append((content, done))
        if len(waiting) == 1:
            flush_soon()
        return JSONResponse({"embedding": (await done).tolist()})

    return Starlette(routes=[Route("/embed", embed, methods=["POST"])])


def main() -> None:
    way, path, port, preprocessing = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    import uvicorn

    app = starlette_app(Model(path, preprocessing), window=way == "starlette-window")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
