from __future__ import annotations

import pytest

from export.errors import MalformedModelError, UnsupportedAttributeError
from export.graph.attributes import Attrs


def attrs(**texts: str) -> Attrs:
    return Attrs("Convolution 'conv1'", texts)


@pytest.mark.parametrize(("text", "value"), [("64", 64), ("+3", 3), (" 7 ", 7), ("3L", 3)])
def test_integer(text: str, value: int) -> None:
    assert attrs(x=text).integer("x") == value


@pytest.mark.parametrize("text", ["", "3.0", "1e3", "-1", "9" * 30, "0x10", "three", "(3)", "٣", "1_0"])
def test_no_integer(text: str) -> None:
    with pytest.raises(
        MalformedModelError, match=r"^Convolution 'conv1': attribute x=.* is not an integer of at least 0"
    ):
        attrs(x=text).integer("x")


def test_integer_below_its_minimum() -> None:
    assert attrs(x="-1").integer("x", minimum=-8) == -1
    with pytest.raises(MalformedModelError, match="at least 1"):
        attrs(x="0").integer("x", minimum=1)


@pytest.mark.parametrize("text", ["(3, 2)", "[3,2]", "(3, 2,)", "( 3 ,2 )", "(3L, 2L)", "3,2"])
def test_integers(text: str) -> None:
    assert attrs(x=text).integers("x", 2) == (3, 2)


@pytest.mark.parametrize(
    "text", ["", "(3, 2", "3, 2)", "((3, 2))", "(3;2)", "(3,,2)", "(3, -2)", "(3, 2.0)", "(,)", "(3, 2),"]
)
def test_no_integers(text: str) -> None:
    with pytest.raises(MalformedModelError, match="is not a tuple of integers of at least 0"):
        attrs(x=text).integers("x", 2)


@pytest.mark.parametrize("text", ["(3,)", "3", "(3, 3, 3)"])
def test_integers_of_another_number_of_axes(text: str) -> None:
    with pytest.raises(UnsupportedAttributeError, match=r"not supported \(expected 2 numbers"):
        attrs(x=text).integers("x", 2)


@pytest.mark.parametrize(("text", "value"), [("1e-05", 1e-5), ("0.75", 0.75), (".5", 0.5), ("2", 2.0), ("-1.", -1.0)])
def test_real(text: str, value: float) -> None:
    assert attrs(x=text).real("x") == value


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "", "1,5", "e5", "0x1p3", "1_0.0", "9" * 999])
def test_no_real(text: str) -> None:
    with pytest.raises(MalformedModelError, match="is not a finite number"):
        attrs(x=text).real("x")


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("true", True), ("1", True), ("False", False), ("0", False)]
)
def test_boolean(text: str, value: bool) -> None:
    assert attrs(x=text).boolean("x", default=not value) is value


def test_false_is_no_truth() -> None:
    assert attrs(x="false").boolean("x", default=True) is False


@pytest.mark.parametrize("text", ["yes", "TRUE", "2", ""])
def test_no_boolean(text: str) -> None:
    with pytest.raises(MalformedModelError, match="is not True or False"):
        attrs(x=text).boolean("x", default=True)


def test_choice() -> None:
    assert attrs(x="avg").choice("x", ("max", "avg")) == "avg"
    with pytest.raises(UnsupportedAttributeError, match=r"x=lp is not supported \(expected max or avg\)"):
        attrs(x="lp").choice("x", ("max", "avg"))


@pytest.mark.parametrize("texts", [{}, {"x": "None"}])
def test_absent_and_none_mean_the_default(texts: dict[str, str]) -> None:
    attributes = attrs(**texts)
    assert attributes.integer("x", 4) == 4
    assert attributes.integers("x", 2, (1, 1)) == (1, 1)
    assert attributes.real("x", 0.5) == 0.5
    assert attributes.boolean("x", default=True) is True
    assert attributes.choice("x", ("max", "avg"), "max") == "max"


@pytest.mark.parametrize("text", ["()", "[]"])
def test_empty_tuple_means_the_default(text: str) -> None:
    assert attrs(x=text).integers("x", 2, (1, 1)) == (1, 1)


def test_absent_without_default_is_refused() -> None:
    node = attrs()
    for read in (node.integer, node.real, lambda x: node.integers(x, 2), lambda x: node.choice(x, ("a",))):
        with pytest.raises(MalformedModelError, match="attribute x is missing"):
            read("x")


def test_long_text_is_refused() -> None:
    with pytest.raises(MalformedModelError, match="at most 1000 characters"):
        attrs(x="(" + "1," * 10**6 + ")").integers("x", 2)


TRAINING = "__lr_mult__ __wd_mult__ __init__ __shape__ __dtype__ __storage_type__ __ctx_group__ lr_mult".split()


def test_every_attribute_must_be_read() -> None:
    attributes = attrs(kernel="(3, 3)", pad="(1, 1)", cudnn_off="True", **dict.fromkeys(TRAINING, "1"))
    attributes.integers("kernel", 2)
    attributes.ignore("cudnn_off")
    with pytest.raises(UnsupportedAttributeError, match=r"^Convolution 'conv1': .* attribute pad=\(1, 1\)\."):
        attributes.finish()
    attributes.integers("pad", 2)
    attributes.finish()
