"""Names of the collections behind an alias.

Readers use the alias, which has the table's name. Each load fills a collection of its own, named after what it holds:
the first hash is that of model and images, the second that of the rows and the index. So the name alone shows whether
a collection can be resumed, replaced or removed, in every version of every server.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_cli.retrieval.load.target import LoadPlan


@dataclass(frozen=True)
class CollectionNames:
    """The names for one plan.

    Parameters
    ----------
    alias : str
        The name that readers use.
    origin : str
        Hash of model and images.
    content : str
        Hash of rows and index.
    """

    alias: str
    origin: str
    content: str

    @staticmethod
    def of(plan: LoadPlan) -> CollectionNames:
        """Name the collection of a plan."""
        return CollectionNames(
            plan.table, _hash(plan.model, plan.source), _hash(plan.fingerprint, plan.index, plan.distance)
        )

    @property
    def collection(self) -> str:
        """The collection that the load fills."""
        return f"{self.alias}__{self.origin}_{self.content}"

    def is_of_alias(self, name: str) -> bool:
        """Whether a load under the same alias made this collection."""
        return re.fullmatch(re.escape(self.alias) + "__[0-9a-f]{12}_[0-9a-f]{12}", name) is not None

    def action(self, live: str | None, plan: LoadPlan, server: str, count: Callable[[str], int]) -> tuple[str, bool]:
        """Return what a load does to the collection, and whether there is nothing to do.

        Parameters
        ----------
        live : str, optional
            The collection that has, or is behind, the alias.
        plan : LoadPlan
            The load.
        server : str
            Names the server in errors.
        count : callable
            Counts the rows of a collection.

        Raises
        ------
        ConfigError
            If the load may not replace the collection.
        """
        if live is None:
            return "create", False
        if live == self.collection:
            return "none, it is complete", True
        self._check_replaceable(live, plan, server)
        return f"replace {count(live):,} rows", False

    def _check_replaceable(self, name: str, plan: LoadPlan, server: str) -> None:
        if plan.overwrite or (self.is_of_alias(name) and self.origin == name[-25:-13]):
            return
        ours, foreign = "holds embeddings of another model or of other images", "was not made by `lifted load`"
        difference = ours if self.is_of_alias(name) else foreign
        raise ConfigError(
            f"{server}: the collection {self.alias!r} exists and {difference}; choose another --table, or replace it "
            "with --overwrite."
        )


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
