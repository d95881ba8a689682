"""A catalog of photographs, and a client of the service on its index."""

import pytest

from tests.serve_cli.retrieval.search.shop import made_shop

pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")


@pytest.fixture(scope="package")
def shop(tmp_path_factory):
    return made_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="package")
def client(shop):
    from tests.serve_cli.http.served import serving

    with serving(shop.index) as connected:
        yield connected


@pytest.fixture(scope="package")
def embedder(shop):
    from serve_cli import Embedder
    from tests.serve_cli.http.served import MODEL

    with Embedder(shop.model, MODEL) as opened:
        yield opened
