"""Errors a user can meet: what was found, where, what was expected, what to do; at most three sentences."""

from gluon_lifted.redaction import without_credentials


class LiftedError(Exception):
    """Base of every error that is the input's fault. The command line prints its message and exits with 1.

    Credentials of URLs are cut out of it: messages go to logs, reports and embedding files.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_credentials(arg) if isinstance(arg, str) else arg for arg in args))


class DataError(LiftedError):
    """A data set, an image or a label is missing or not what it should be."""


class ImageError(DataError):
    """One image cannot be read."""


class UnreachableError(ImageError):
    """The host that has an image does not answer; others may."""


class RunError(LiftedError):
    """A run folder, checkpoint or model card is missing, incomplete or damaged."""


class ConfigError(LiftedError):
    """An option has a value that cannot work, alone or with the others."""


class DeviceError(LiftedError):
    """A device or framework that was asked for cannot be used on this machine."""


class MissingPackageError(DeviceError, ImportError):
    """A Python package of an extra that is not installed; an `ImportError` too, as importers expect."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `docker stop` and schedulers send it: ends work in the way that Ctrl-C does."""
