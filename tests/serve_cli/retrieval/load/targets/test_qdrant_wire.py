"""What the Qdrant target sends by gRPC to a stand-in for a server, which keeps the points."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gluon_lifted.errors import RunError
from tests.serve_cli.retrieval.load.targets.loading import batches, catalog, plan_of

pytest.importorskip("qdrant_client", reason="loading needs qdrant-client", exc_type=ImportError)

import grpc
from qdrant_client import grpc as wire

from serve_cli.retrieval.load.targets.qdrant import QdrantTarget, point_id

KEY = "s3cretkey"
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


class StandIn(wire.CollectionsServicer, wire.PointsServicer):
    """Takes points; the statuses in ``failures`` come first."""

    def __init__(self):
        self.points, self.sizes, self.waits, self.failures = {}, [], set(), []

    def CollectionExists(self, request, context):  # noqa: N802 - gRPC calls the method by this name
        self._check(context)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=False))

    def Upsert(self, request, context):  # noqa: N802 - gRPC calls the method by this name
        self._check(context)
        if self.failures:
            context.abort(self.failures.pop(), "not now")
        self.points |= {point.id.uuid: point for point in request.points}
        self.sizes.append(request.ByteSize())
        self.waits.add(request.wait)
        return wire.PointsOperationResponse()

    @staticmethod
    def _check(context):
        if dict(context.invocation_metadata()).get("api-key") != KEY:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "forbidden")


@pytest.fixture
def server():
    stand_in = StandIn()
    running = grpc.server(ThreadPoolExecutor(4))
    wire.add_CollectionsServicer_to_server(stand_in, running)
    wire.add_PointsServicer_to_server(stand_in, running)
    stand_in.port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield stand_in
    running.stop(0)


def target_of(server, data, key=KEY):
    return QdrantTarget(f"qdrant://{key}@127.0.0.1:9?grpc_port={server.port}", plan_of(*data, batch_rows=len(data[0])))


def test_each_point_arrives_with_its_vector_and_payload(server):
    data = catalog(230)
    target = target_of(server, data)
    target.write(*batches(target._plan, *data), 0)
    target.close()
    assert set(server.points) == {point_id(name) for name in data[0]["id"].to_pylist()}
    assert server.waits == {True}
    for row, expected in enumerate(data[0].to_pylist()):
        point = server.points[point_id(expected["id"])]
        np.testing.assert_array_equal(np.array(point.vectors.vector.dense.data, np.float32), data[1][row])
        assert point.payload["id"].string_value == expected["id"]
        assert point.payload["stock"].integer_value == expected["stock"]
        assert point.payload["sold"].bool_value == expected["sold"]
        kind = point.payload["price"].WhichOneof("kind")
        assert kind == ("null_value" if expected["price"] is None else "double_value")


def test_requests_stay_below_the_limit_of_servers(server):
    data = catalog(2_000, dim=4_096)
    target = target_of(server, data)
    target.write(*batches(target._plan, *data), 0)
    target.close()
    assert len(server.points) == 2_000
    assert max(server.sizes) < 8 << 20


def test_a_write_that_failed_may_be_repeated(server):
    data = catalog(100)
    server.failures = [grpc.StatusCode.UNAVAILABLE]
    target = target_of(server, data)
    (batch,) = batches(target._plan, *data)
    with pytest.raises(grpc.RpcError) as lost:
        target.write(batch, 0)
    assert target.is_transient(lost.value)
    assert isinstance(target.explain(lost.value), RunError)
    target.write(batch, 0)
    target.close()
    assert len(server.points) == 100


def test_a_wrong_key_is_refused_and_not_shown(server):
    target = target_of(server, catalog(2), key="otherkey")
    with pytest.raises(grpc.RpcError) as refused:
        target.preview()
    target.close()
    assert not target.is_transient(refused.value)
    sentence = str(target.explain(refused.value))
    assert "refuses this key (PERMISSION_DENIED); set QDRANT_API_KEY" in sentence
    assert "otherkey" not in sentence
