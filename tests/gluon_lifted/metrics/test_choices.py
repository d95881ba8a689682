from typing import get_args

from gluon_lifted.metrics.choices import ClusteringProtocol
from gluon_lifted.metrics.clustering import PROTOCOLS


def test_protocols_are_those_implemented():
    assert list(get_args(ClusteringProtocol)) == list(PROTOCOLS)
