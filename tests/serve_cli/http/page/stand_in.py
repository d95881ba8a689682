"""A small server with the endpoints of the page, on loopback: a catalog of pictures, embedded by their colors."""

from __future__ import annotations

import io
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serve_cli.http.page.page import search_page
from serve_cli.retrieval.search.where.condition_error import ConditionError
from serve_cli.retrieval.search.where.parser import parse_condition
from tests.serve_cli.http.page.loopback import on_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray
    from starlette.requests import Request

SIDE = 4
DIM = SIDE * SIDE * 3
LIMITS = {"k": 60, "images": 4, "body_bytes": 200_000, "max_pixels": 100_000_000}


def embed(picture: bytes) -> NDArray[np.float32]:
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 64


@dataclass
class StandIn:
    """The catalog, and what the server was asked and does besides.

    Parameters
    ----------
    table : Table
        `id` and `label`, and the columns that filter.
    pictures : list of bytes
        Files, in the order of the rows.
    columns : list of dict
        Columns of `/info`.
    """

    table: pa.Table
    pictures: list[bytes]
    columns: list[dict[str, Any]]
    token: str | None = None
    has_index: bool = True
    busy: int = 0  # searches that are refused with 429
    opening: int = 0  # requests of /info that are refused with 503
    slow: dict[str, float] = field(default_factory=dict)  # condition -> seconds
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    requests: list[dict[str, Any]] = field(default_factory=list)  # of /search
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.ids = self.table["id"].to_pylist()
        self.embeddings = np.stack([embed(picture) for picture in self.pictures])

    def app(self) -> Starlette:
        routes = [
            Route("/", self.page),
            Route("/info", self.info),
            Route("/search", self.search, methods=["POST"]),
            Route("/embed", self.embed, methods=["POST"]),
            Route("/images/{id:path}", self.image),
        ]
        return Starlette(routes=routes)

    async def page(self, _: Request) -> Response:
        page = search_page()
        return Response(page.html, media_type="text/html", headers={"Content-Security-Policy": page.policy})

    async def info(self, request: Request) -> Response:
        if self.opening:
            self.opening -= 1
            return JSONResponse({"error": {"message": "The model is being opened."}}, 503, {"Retry-After": "0.05"})
        model = {"name": "colors", "sha256": "0" * 64, "dim": DIM, "distance": "euclidean", "crop": 32}
        index = {"rows": len(self.ids), "exact": True, "recall": None, "dim": DIM, "distance": "euclidean"}
        index["columns"] = self.columns
        answer = {"model": model, "index": index if self.has_index else None, "limits": self.limits}
        return self._refusal(request) or JSONResponse(answer)

    async def image(self, request: Request) -> Response:
        self.paths.append(str(request.url).removeprefix(self.url))
        refusal = self._refusal(request)
        if refusal:
            return refusal
        picture = self.pictures[self.ids.index(request.path_params["id"])]
        return Response(picture, media_type="image/png")

    async def embed(self, request: Request) -> Response:
        self.paths.append("/embed")
        return Response(embed(await request.body()).tobytes(), media_type="application/octet-stream")

    async def search(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal:
            return refusal
        if self.busy:
            self.busy -= 1
            return JSONResponse({"error": {"message": "The queue is full."}}, 429, {"Retry-After": "0.05"})
        began = time.perf_counter()
        asked, files = await _parsed(request)
        self.requests.append({**asked, "files": len(files)})
        if asked["where"] in self.slow:
            import anyio

            await anyio.sleep(self.slow[asked["where"]])
        try:
            answer = self._answer(asked, files)
        except ConditionError as error:
            position = len(error.caret.split("\n")[1]) - 3
            message = f"where, character {position + 1}: {str(error).split(': ', 1)[1]}"
            return JSONResponse({"error": {"message": message, "position": position}}, 422)
        answer["ms"] = {"decode": 1.5, "wait": 0.0, "network": 2.0, "search": (time.perf_counter() - began) * 1e3}
        return JSONResponse(answer)

    def _answer(self, asked: dict[str, Any], files: list[bytes]) -> dict[str, Any]:
        rows = np.arange(len(self.ids))
        if asked["where"]:
            numbered = self.table.append_column("row", [rows])
            rows = numbered.filter(parse_condition(asked["where"], self.table.schema))["row"].to_numpy()
        own = [query["id"] for query in asked["queries"] if query.get("weight", 1) > 0 and "id" in query]
        rows = np.array([row for row in rows if self.ids[row] not in own], int)
        distances = np.linalg.norm(self.embeddings[rows] - self._query(asked["queries"], files), axis=1)
        matches = []
        for rank, number in enumerate(np.argsort(distances, kind="stable")[: asked["k"]], start=1):
            values = self.table.slice(int(rows[number]), 1).to_pylist()[0]
            columns = {name: values[name] for name in asked["columns"]}
            matches.append({"rank": rank, "distance": float(distances[number]), "id": values["id"],
                            "label": values["label"], "columns": columns})  # fmt: skip
        return {"matches": matches, "exact": True, "recall": None, "rows": len(self.ids)}

    def _query(self, queries: list[dict[str, Any]], files: list[bytes]) -> NDArray[np.float32]:
        sides: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
        for query in queries:
            if "id" in query:
                vector = self.embeddings[self.ids.index(query["id"])]
            else:
                vector = embed(files[query["file"]]) if "file" in query else np.array(query["vector"], np.float32)
            sides[query.get("weight", 1) > 0].append(vector)
        mean = np.mean(sides[True], axis=0)
        return mean - np.mean(sides[False], axis=0) if sides[False] else mean

    def _refusal(self, request: Request) -> Response | None:
        given = request.headers.get("Authorization")
        if self.token is None or given == f"Bearer {self.token}":
            return None
        return JSONResponse({"error": {"message": "A bearer token is needed."}}, 401)


async def _parsed(request: Request) -> tuple[dict[str, Any], list[bytes]]:
    if not request.headers["Content-Type"].startswith("multipart/"):
        return await request.json(), []
    async with request.form() as form:
        files = [await part.read() for part in form.getlist("image") if not isinstance(part, str)]
        return json.loads(str(form["request"])), files


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    with on_loopback(stand_in.app()) as stand_in.url:
        yield stand_in
