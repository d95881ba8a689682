"""What an importer of weights did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsReport:
    """Which weights of a file a network took.

    Parameters
    ----------
    source : str
        The file, or ``"imagenet"``.
    format : str
        ``"caffemodel"``, ``"torch"``, ``"safetensors"`` or ``"params"``.
    used : tuple of str
        Our parameters that were set.
    skipped : tuple of str
        Tensors of the file that no parameter is for: classifiers, auxiliary heads.
    missing : tuple of str
        Our parameters that the file has nothing for and that keep their values: the embedding layer's, never the
        backbone's.
    colors : str or None
        How the weights' network was fed, a name in `gluon_lifted.images.colors.COLORS`; None if the file does not tell.
    """

    source: str
    format: str
    used: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    colors: str | None

    def __str__(self) -> str:
        return (
            f"{self.source} ({self.format}): {len(self.used)} tensors used, {len(self.skipped)} skipped, "
            f"{len(self.missing)} missing"
        )
