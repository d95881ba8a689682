"""What a table was loaded from, stored with the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from serve_cli.retrieval.load.target import LoadPlan

WRITER = "lifted load"


@dataclass(frozen=True)
class Stamp:
    """What a table was loaded from.

    Parameters
    ----------
    fingerprint, model, source, index, rows
        As in `LoadPlan`.
    writer : str
        Marks the stamps of this program.
    """

    fingerprint: str
    model: str
    source: str
    index: str
    rows: int
    writer: str = WRITER

    @staticmethod
    def of(plan: LoadPlan) -> Stamp:
        """Describe a plan."""
        return Stamp(plan.fingerprint, plan.model, plan.source, plan.index, plan.rows)

    def to_json(self) -> str:
        """Write the stamp as text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_json(text: str | bytes | None) -> Stamp | None:
        """Read a stamp, or return None if this program did not write it."""
        try:
            values: Any = json.loads(text or "")
            stamp = Stamp(**{field.name: values[field.name] for field in fields(Stamp)})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return stamp if stamp.writer == WRITER else None


def check_replaceable(stamp: Stamp | None, plan: LoadPlan, table: str) -> None:
    """Raise `ConfigError` unless a load may replace a table with this stamp.

    Parameters
    ----------
    stamp : Stamp, optional
        The table's stamp, or None if this program did not write the table.
    plan : LoadPlan
        The load that would replace it.
    table : str
        Names the table in the sentence.
    """
    if plan.overwrite or (stamp and (stamp.model, stamp.source) == (plan.model, plan.source)):
        return
    if stamp is None:
        difference = "was not written by `lifted load`"
    elif stamp.model != plan.model:
        difference = "holds embeddings of another model"
    else:
        difference = f"holds embeddings of other images ({stamp.source})"
    raise ConfigError(f"{table} exists and {difference}; choose another --table, or replace it with --overwrite.")
