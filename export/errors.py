"""Errors of export: what was found, where, what was expected, what to do."""

from gluon_lifted.errors import LiftedError


class MalformedModelError(LiftedError):
    """A model file is damaged, contradicts itself or is not what its name says."""


class UnsupportedOpError(LiftedError):
    """The network uses operators that have no translator."""


class UnsupportedAttributeError(LiftedError):
    """An operator is used with an attribute that its translator does not know."""


class ParityError(LiftedError):
    """The ONNX model does not compute what MXNet computed."""
