"""Errors of export. A message says what is wrong, where, what was expected and what to do."""

from gluon_lifted.errors import LiftedError


class MalformedModelError(LiftedError):
    """A model file is damaged, inconsistent or of the wrong kind."""


class UnsupportedOpError(LiftedError):
    """The network uses operators that have no translator."""


class BatchAxisError(UnsupportedOpError):
    """A tensor has the batch on an axis that the operator does not support."""


class UnsupportedAttributeError(LiftedError):
    """An operator has an attribute or a value that its translator does not support."""


class ParityError(LiftedError):
    """The output of the ONNX model differs from MXNet's."""
