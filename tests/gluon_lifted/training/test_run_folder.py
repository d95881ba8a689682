from types import SimpleNamespace

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.training.run import Hooks, _settled
from gluon_lifted.training.run_folder import WEIGHTS_FILE, weights_origin


def test_a_card_names_where_the_weights_are_from(tmp_path):
    assert weights_origin(tmp_path) == "random"
    for content, origin in [('{"origin": "https://a.invalid/net.pth"}', "https://a.invalid/net.pth"), ("[", "unknown")]:
        (tmp_path / WEIGHTS_FILE).write_text(content)
        assert weights_origin(tmp_path) == origin


def test_hosts_compare_the_preprocessing_that_their_weights_bring():
    compared = []
    cluster = SimpleNamespace(require_same=lambda what, text: compared.append(text))
    for colors in ("imagenet", "inception"):  # as if another source of --weights imagenet answered on each host
        brought = {"colors": colors, "interpolation": "bilinear"}
        trainer = SimpleNamespace(cluster=cluster, load_weights=lambda _, brought=brought: brought)
        assert _settled(TrainConfig(weights="imagenet"), trainer, Hooks(), resume=False).colors == colors
    assert len(set(compared)) == 2
