import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.training.run_folder import WEIGHTS_FILE, weights_origin


def test_a_card_names_where_the_weights_are_from(tmp_path):
    assert weights_origin(tmp_path) == "random"
    for content, origin in [('{"origin": "https://a.invalid/net.pth"}', "https://a.invalid/net.pth"), ("[", "unknown")]:
        (tmp_path / WEIGHTS_FILE).write_text(content)
        assert weights_origin(tmp_path) == origin
