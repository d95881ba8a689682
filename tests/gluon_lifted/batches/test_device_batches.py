import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches import device_batches
from gluon_lifted.batches.loader import Batch
from gluon_lifted.mx import mx, nd


def batch(count, first=0, start=0):
    images = first + np.arange(count * 12, dtype=np.float32).reshape(count, 3, 2, 2)
    return Batch(images, np.arange(count + start), start)


@pytest.mark.parametrize(("count", "shares"), [(5, [2, 2, 1]), (2, [1, 1])])
def test_images_are_shared_in_order_and_labels_are_on_the_first_device(count, shares):
    devices = [mx.cpu(2), mx.cpu(0), mx.cpu(1)]
    copied = device_batches.to_devices(batch(count, start=3), devices)
    assert [array.context for array in copied.images] == devices[: len(shares)]
    assert [len(array) for array in copied.images] == shares
    np.testing.assert_array_equal(np.concatenate([array.asnumpy() for array in copied.images]), batch(count).images)
    assert (copied.labels.context, copied.start) == (devices[0], 3)
    np.testing.assert_array_equal(copied.labels.asnumpy(), np.arange(count + 3))


def test_a_batch_is_copied_before_the_one_before_it_is_used():
    requested = []

    def batches():
        for first in (0, 100, 200):
            requested.append(first)
            yield batch(2, first)

    copies = device_batches.copied_ahead(batches(), [mx.cpu()])
    seen = [(float(copied.images[0].asnumpy()[0, 0, 0, 0]), len(requested)) for copied in copies]
    assert seen == [(0, 2), (100, 3), (200, 3)]
    assert list(device_batches.copied_ahead([], [mx.cpu()])) == []


def test_gpus_receive_from_pinned_memory(monkeypatch):
    """No GPU is needed: MXNet pins memory, and copies from there, without one."""
    pinned = []

    class Gpu(mx.Context):
        device_type = "gpu"

    monkeypatch.setattr(mx, "cpu_pinned", lambda number: pinned.append(number) or mx.Context("cpu_pinned", number))
    copied = device_batches.to_devices(batch(3), [Gpu("cpu", 1)])
    assert pinned == [1, 1]
    assert nd.NDArray.context.fget(copied.images[0]) == mx.cpu(1)
    np.testing.assert_array_equal(copied.images[0].asnumpy(), batch(3).images)
