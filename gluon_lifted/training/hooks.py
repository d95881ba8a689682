"""Whom a run tells what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluon_lifted.logs.run_log import TrainProgress


@dataclass(frozen=True)
class Hooks:
    """Whom a run tells what happens: after each iteration, and what is worth a line."""

    on_progress: Callable[[TrainProgress], None] = lambda _: None
    on_note: Callable[[str], None] = lambda _: None
