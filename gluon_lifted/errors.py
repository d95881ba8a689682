"""Errors that a user can fix. A message says what is wrong, where, what was expected and what to do."""

from gluon_lifted.redaction import without_credentials


class LiftedError(Exception):
    """Base class of all errors that a user can fix. The command line prints its message and exits with 1.

    Messages go to logs, reports and embedding files, so credentials are removed from URLs in them.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_credentials(arg) if isinstance(arg, str) else arg for arg in args))


class DataError(LiftedError):
    """A data set, an image or a label is missing or not what it should be."""


class ImageError(DataError):
    """One image cannot be read."""


class UnreachableError(ImageError):
    """The host of an image does not answer. Images on other hosts may still be readable."""


class RunError(LiftedError):
    """A run folder, checkpoint or model card is missing, incomplete or damaged."""


class ConfigError(LiftedError):
    """An option has an invalid value, or its value conflicts with another option."""


class DeviceError(LiftedError):
    """A requested device or framework cannot be used on this host."""


class MissingPackageError(DeviceError, ImportError):
    """A Python package of an extra is not installed. Also an `ImportError`, which importers expect."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which `docker stop` and schedulers send. It ends work as Ctrl-C does."""
