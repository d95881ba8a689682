"""A catalog of photographs, embedded by the tiny model and indexed."""

import pytest

from tests.serve_cli.retrieval.search.shop import made_shop


@pytest.fixture(scope="package")
def shop(tmp_path_factory):
    pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")
    return made_shop(tmp_path_factory.mktemp("shop"))
