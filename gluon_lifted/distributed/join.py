"""Join the other machines, and leave them in order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gluon_lifted.distributed.collectives import ALONE, Cluster
from gluon_lifted.distributed.spec import ClusterSpec, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def join_cluster(spec: ClusterSpec | None, limits: Limits = Limits()) -> Iterator[Cluster]:
    """Train together with the other machines within this block; alone without a spec.

    All machines leave the block together: it waits for the last. Where a machine leaves it by an exception, or
    ends, the others get a `RunError` from their next sum. MXNet cannot take back what it has begun to send, so a
    process that has left a cluster by an exception cannot join another, and ends without further clean-up, with
    status 1 (130 after Ctrl-C).

    Raises
    ------
    ConfigError, RunError
        If the scheduler cannot be reached, or the machines do not come together.
    """
    if spec is None:
        yield ALONE
        return
    from gluon_lifted.distributed.parameter_server import served_cluster

    with served_cluster(spec, limits) as cluster:
        yield cluster
