import doctest

from gluon_lifted import torchvision_names


def test_examples():
    assert doctest.testmod(torchvision_names) == (0, 3)
