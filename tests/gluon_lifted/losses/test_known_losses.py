"""What holds for every loss, and the choice by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.config.train_config import BATCH_MULTIPLES
from gluon_lifted.errors import ConfigError
from gluon_lifted.losses import LOSSES, LiftedStructureLoss, build_loss
from gluon_lifted.mx import mx, nd
from tests.examples import examples
from tests.gluon_lifted.losses.cases import (
    batch_for,
    build,
    hybrid,
    run,
)

pytestmark = pytest.mark.slow

every_loss = pytest.mark.parametrize("name", LOSSES)
loss_without_proxies = pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if not loss.has_proxies])


@every_loss
def test_build_loss_gives_the_loss_of_that_name(name):
    loss = build_loss(name, 0.7, 5, 8)
    assert type(loss) is LOSSES[name].loss_class
    assert loss.margin == 0.7


def test_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(ConfigError, match=r"loss 'angular' is unknown. .* lifted, contrastive, contrastive-all"):
        build_loss("angular", 1.0)


@every_loss
@pytest.mark.parametrize("margin", [math.nan, math.inf, -math.inf])
def test_margin_must_be_finite(name, margin):
    with pytest.raises(ConfigError, match=r"margin .* finite"):
        build_loss(name, margin, 5, 8)


@every_loss
def test_margin_is_the_declared_one_unless_told(name):
    shape = {"num_classes": 2, "dim": 3} if LOSSES[name].has_proxies else {}
    assert LOSSES[name].loss_class(**shape).margin == LOSSES[name].defaults.get("margin", (1.0,))[0]


@pytest.mark.parametrize("name", ["proxy-anchor", "normalized-softmax"])
def test_proxies_need_a_shape(name):
    with pytest.raises(ConfigError, match="got num_classes 0 and dim 8; expected at least 1"):
        build_loss(name, 0.1, 0, 8)


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hybrid_is_bitwise_eager(name, dtype):
    net = hybrid(build(name, batch_for(name, 6, dtype=dtype)[0]))
    for seed, rows in enumerate([18, 18, 6, 126, 6]):  # one net through changing batch sizes
        embedding, label = batch_for(name, rows, scale=0.4, seed=seed, dtype=dtype)
        eager = run(build(name, embedding), embedding, label)
        for hybrid_part, eager_part in zip(run(net, embedding, label), eager, strict=True):
            np.testing.assert_array_equal(hybrid_part, eager_part)


@every_loss
@pytest.mark.parametrize("scale", [0.2, 0.5, 3.0, 60.0])
def test_gradient_by_finite_differences(name, scale):
    embedding, label = batch_for(name, 12, scale=scale, dim=3)
    net, step = build(name, embedding), 1e-6 * scale
    _, gradient = run(net, embedding, label)
    for index in np.ndindex(embedding.shape):
        sides = []
        for sign in (1, -1):
            moved = embedding.copy()
            moved[index] += sign * step
            sides.append(net(nd.array(moved, dtype="float64"), nd.array(label)).asscalar())
        assert gradient[index] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-6)


@every_loss
def test_some_batch_has_a_gradient(name):
    """The others here could all pass on zeros."""
    embedding, label = batch_for(name, 12, scale=0.5, dim=3)
    _, gradient = run(build(name, embedding), embedding, label)
    assert abs(gradient).max() > 0.01


@every_loss
def test_head_gradient_scales_the_gradient(name):
    embedding, label = batch_for(name, 12, scale=0.5)
    tripled = run(build(name, embedding), embedding, label, head=-3.0)[1]
    np.testing.assert_allclose(tripled, -3.0 * run(build(name, embedding), embedding, label)[1], rtol=1e-12)


@every_loss
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([6, 12, 18]))
@examples(20, derandomize=True)
def test_order_of_the_batch_does_not_matter(name, seed, rows):
    """Of pairs and triplets the order of the pairs and triplets."""
    embedding, label = batch_for(name, rows, scale=0.5, seed=seed)
    size = rows // BATCH_MULTIPLES.get(LOSSES[name].sampler, 1)  # images of a pair or triplet are this far apart
    order = np.random.default_rng(seed + 1).permutation(size)
    order = np.concatenate([order + start for start in range(0, rows, size)])
    loss, gradient = run(build(name, embedding), embedding, label)
    permuted_loss, permuted_gradient = run(build(name, embedding), embedding[order], label[order])
    np.testing.assert_allclose(permuted_loss, loss, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(permuted_gradient, gradient[order], rtol=1e-9, atol=1e-9)


@every_loss
@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_float32_offset_costs_no_accuracy(name, offset):
    embedding, label = batch_for(name, 24, scale=0.3, dim=32)
    moved = (embedding + offset).astype("float32")
    loss, gradient = run(build(name, moved), moved, label)
    exact, exact_gradient = run(build(name, moved.astype("float64")), moved.astype("float64"), label)
    assert loss == pytest.approx(exact, rel=5e-6, abs=5e-6)
    np.testing.assert_allclose(gradient, exact_gradient, rtol=1e-4, atol=1e-5)


@every_loss
def test_duplicates_far_from_the_origin_give_no_nan(name):
    """Where the matrix product makes squared distances negative."""
    rng = np.random.default_rng(1)
    embedding = (np.repeat(20 * rng.normal(size=(8, 64)), 6, axis=0) + 1000).astype("float32")
    for label in (batch_for(name, 48)[1], np.zeros(48), np.arange(48)):
        loss, gradient = run(hybrid(build(name, embedding)), embedding, label)
        assert math.isfinite(loss)
        assert np.isfinite(gradient).all()


@loss_without_proxies
def test_collapse_has_no_gradient(name):
    embedding = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 12, axis=0)
    for dtype in ("float32", "float64"):
        embedding = embedding.astype(dtype)
        loss, gradient = run(build(name, embedding), embedding, batch_for(name, 12)[1])
        assert math.isfinite(loss)
        rounding = 0 if LOSSES[name].distance == "euclidean" else 10 * np.finfo(dtype).eps
        np.testing.assert_allclose(gradient, 0, atol=rounding)


@every_loss
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_label_dtypes(name, dtype):
    for embedding_dtype in ("float32", "float64"):
        embedding, label = batch_for(name, 24, scale=0.4, dtype=embedding_dtype)
        expected = run(build(name, embedding), embedding, label)[0]
        assert run(build(name, embedding), embedding, label, dtype)[0] == expected != 0
        assert run(build(name, embedding), embedding, label[:, None], dtype)[0] == expected


@loss_without_proxies
def test_labels_that_float32_cannot_tell_apart(name):
    """All labels differ; were some taken as equal, the losses would not be what they are for 0 ... 5."""
    embedding, _ = batch_for(name, 6, scale=0.1, dtype="float32")
    labels = np.array([2**40, 2**24, 7, 2**40 + 1, 2**24 + 1, 8])
    for order in (labels, labels[[0, 2, 3, 4, 5, 1]]):  # neighbors as a pair, then as anchor and positive
        assert (
            run(build(name, embedding), embedding, order, "int64")[0]
            == run(build(name, embedding), embedding, np.arange(6))[0]
        )


@every_loss
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("label", [None, [0] * 6, [0, 1, 2, 3, 4, 5]], ids=["usual", "all equal", "all different"])
def test_broken_embedding_is_seen_in_loss_and_gradient(name, bad, label):
    for dtype in ("float32", "float64"):
        for row in range(6):
            embedding, usual = batch_for(name, 6, scale=0.3, dtype=dtype)
            embedding[row, 1] = bad
            for net in (build(name, embedding), hybrid(build(name, embedding))):
                loss, gradient = run(net, embedding, usual if label is None else label)
                assert math.isnan(loss) or (math.isinf(bad) and loss == math.inf)
                assert not np.isfinite(gradient).all()


@every_loss
def test_distances_too_large_for_the_dtype_are_seen(name):
    for rows in (6, 48):
        embedding, label = batch_for(name, rows, scale=1e20, dtype="float32")
        assert not math.isfinite(run(build(name, embedding), embedding, label)[0])


@every_loss
def test_symbol_gives_one_number_and_holds_no_array_above_batch_by_batch(name):
    symbol = build(name, np.ones((96, 3), "float32"))(mx.sym.var("embedding"), mx.sym.var("label"))
    assert symbol.infer_shape(embedding=(96, 3), label=(96,))[1] == [(1,)]
    shapes = symbol.get_internals().infer_shape(embedding=(96, 3), label=(96,))[1]
    assert max(math.prod(shape) for shape in shapes) <= 96 * 96


@every_loss
@pytest.mark.parametrize("rows", [1, 5, 7, 12])
def test_label_count_must_match(name, rows):
    embedding, _ = batch_for(name, 6)
    for net in (build(name, embedding), hybrid(build(name, embedding))):
        with pytest.raises(mx.MXNetError, match="different size"):
            run(net, embedding, np.zeros(rows))


@pytest.mark.parametrize(("name", "rows"), [("contrastive", 5), ("contrastive", 1), ("triplet", 7), ("triplet", 2)])
def test_batch_that_does_not_split_is_refused(name, rows):
    for net in (build_loss(name, 1.0), hybrid(build_loss(name, 1.0))):
        with pytest.raises(mx.MXNetError, match=f"does not evenly divide {rows}"):
            run(net, np.ones((rows, 3)), np.zeros(rows))


def test_lifted_is_importable_as_it_always_was():
    assert LOSSES["lifted"].loss_class is LiftedStructureLoss
