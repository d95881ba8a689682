"""The reference of losses, from their declarations."""

from gluon_lifted.losses.known_losses import LOSSES
from site_pages.tables import table


def losses_reference():
    """Write a table of all losses, and each with its formula."""
    rows = [
        [
            f"`{name}`",
            loss.help,
            f"`{loss.sampler}`" if loss.sampler else "any",
            loss.distance,
            loss.margin,
            "; ".join(f"`{field}` {value} ({source})" for field, (value, source) in loss.defaults.items()) or "-",
        ]
        for name, loss in LOSSES.items()
    ]
    header = ["`--loss`", "pairs", "batches", "ranks by", "margin is", "own defaults (source)"]
    return "\n".join([table(header, rows), *(_formula(name, loss) for name, loss in LOSSES.items())])


def _formula(name, loss):
    path = f"gluon_lifted.losses.{loss.module}.{loss.class_name}"
    return f"## `{name}`\n\n```{{eval-rst}}\n.. autoclass:: {path}\n   :no-index:\n```\n"
