from typing import get_args

from export.choices import CalibrationMethod
from export.quantization.ranges import METHODS


def test_calibration_methods_are_those_implemented():
    assert list(get_args(CalibrationMethod)) == list(METHODS)
