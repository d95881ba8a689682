"""The log of a run: what training reports after each iteration, kept as JSON lines."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class TrainProgress:
    """Where a run stands: ``images_per_second`` since its start, ``recall`` only when it was just measured."""

    iteration: int
    iterations: int
    loss: float
    images_per_second: float
    recall: float | None


@contextmanager
def metrics_log(path: Path, start: int) -> Iterator[Callable[[TrainProgress], None]]:
    """Append a JSON line an iteration. Lines after the checkpoint that is resumed from are dropped."""
    kept = []
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if _iteration_of(line) <= start]
    with replaced_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))
    with path.open("a", buffering=1) as file:

        def write(progress: TrainProgress) -> None:
            fields = {
                "iteration": progress.iteration,
                "loss": progress.loss if math.isfinite(progress.loss) else None,
                "images_per_second": round(progress.images_per_second, 2),
                "recall@1": progress.recall,
            }
            file.write(json.dumps({name: value for name, value in fields.items() if value is not None}) + "\n")

        yield write


def _iteration_of(line: str) -> float:
    """Iteration of a log line; infinite, and so dropped, where a crash cut the line short."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
