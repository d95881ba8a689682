"""Derive from a staging table's number of rows which batches it holds."""

from __future__ import annotations


class WrittenBatches:
    """Positions of batches in a load that writes them in order, and each id once.

    A batch is complete if the staging table has as many rows as this and all earlier batches together. Only the last
    batch can be written in part, since the next one is sent when it is acknowledged.
    """

    def __init__(self) -> None:
        self._ends = [0]

    def end(self, number: int, rows: int) -> int:
        """Return the rows of batch ``number`` and all before it.

        Parameters
        ----------
        number : int
            Number of the batch: one that was requested before, or the next one.
        rows : int
            Its rows.
        """
        if number + 1 == len(self._ends):
            self._ends.append(self._ends[-1] + rows)
        return self._ends[number + 1]
