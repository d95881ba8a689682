import numpy as np
import pytest

from gluon_lifted.twins.batch_norm import from_twin, to_twin

VARIANCE = np.array([0, 1e-8, 5e-4, 1, 300], np.float32)


@pytest.mark.parametrize("backbone", ["mobilenetv3_large", "mobilenetv3_small"])
def test_both_networks_divide_by_the_same_number(backbone):
    """With epsilon 0.001 in torchvision and 0.00001 here; there and back."""
    ours = from_twin(VARIANCE, "features.1.running_var", backbone)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(np.sqrt(ours + 1e-5), np.sqrt(VARIANCE.astype(float) + 1e-3), rtol=1e-6)
    np.testing.assert_allclose(to_twin(ours, "features.1.running_var", backbone), VARIANCE, rtol=1e-6, atol=1e-10)


def test_a_small_variance_of_ours_is_negative_there_and_positive_with_the_epsilon():
    theirs = to_twin(VARIANCE, "features.1.running_var", "mobilenetv3_small").astype(float)
    assert theirs[0] < 0
    np.testing.assert_allclose(np.sqrt(theirs + 1e-3), np.sqrt(VARIANCE.astype(float) + 1e-5), rtol=1e-5)


@pytest.mark.parametrize("change", [from_twin, to_twin])
@pytest.mark.parametrize(
    ("parameter", "backbone"), [("features.1.running_mean", "mobilenetv3_small"), ("bn1.running_var", "resnet50_v1b")]
)
def test_everything_else_is_left_as_it_was(change, parameter, backbone):
    assert change(VARIANCE, parameter, backbone) is VARIANCE
