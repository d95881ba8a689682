"""LitServe, beside which `serve.py` measures `lifted serve`; it starts it with the Python of another environment.

    python benchmarks/serve_litserve.py WAY MODEL PORT PREPROCESSING

``litserve`` and ``litserve-batches`` are LitServe without and with its batches, two processes with the model each.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import litserve
from serve_peers import AT_A_TIME, BATCH, WINDOW_S, Model

if TYPE_CHECKING:
    import numpy as np


class Api(litserve.LitAPI):
    """One image a call."""

    def __init__(self, path: str, preprocessing: dict[str, Any], **batching: float) -> None:
        super().__init__(**batching)
        self.path, self.preprocessing = path, preprocessing

    def setup(self, device: str) -> None:
        self.model = Model(self.path, self.preprocessing)

    def decode_request(self, request) -> np.ndarray:  # LitServe would look up the name of a type here
        return self.model.decode(base64.b64decode(request["image"]))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return self.model.embed([inputs])[0]

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"embedding": output.tolist()}


class BatchApi(Api):
    """A batch a call."""

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def predict(self, inputs: list[np.ndarray]) -> np.ndarray:
        return self.model.embed(inputs)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)


def main() -> None:
    way, path, port, preprocessing = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    if way == "litserve-batches":
        api: Api = BatchApi(path, preprocessing, max_batch_size=BATCH, batch_timeout=WINDOW_S)
    else:
        api = Api(path, preprocessing)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=AT_A_TIME)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
