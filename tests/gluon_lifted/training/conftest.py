import pytest


@pytest.fixture(autouse=True, scope="module")  # ends before a test elsewhere needs a picture
def no_curves():
    """Drawing takes longer than a short run. Curves have tests of their own; `lifted train` is tested with them."""
    loop = pytest.importorskip("gluon_lifted.training.loop", exc_type=ImportError, reason="MXNet is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "draw_curves", lambda run, kept: None)
        yield
