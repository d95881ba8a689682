"""The reference of losses, from their declarations."""

from gluon_lifted.losses.known_losses import LOSSES
from site_pages.tables import table


def losses_reference():
    """Write a table of all losses, and each with its own defaults and its formula."""
    header = ["`--loss`", "compares", "`--sampler`", "ranks by", "margin is"]
    rows = [
        [f"`{name}`", loss.help, f"`{loss.sampler}`" if loss.sampler else "any", loss.distance, loss.margin]
        for name, loss in LOSSES.items()
    ]
    return "\n".join([table(header, rows), *(_section(name, loss) for name, loss in LOSSES.items())])


def _section(name, loss):
    path = f"gluon_lifted.losses.{loss.module}.{loss.class_name}"
    defaults = [[f"`{field}`", f"`{value}`", source] for field, (value, source) in loss.defaults.items()]
    own = table(["default", "value", "source"], defaults) if defaults else ""
    return f"## `{name}`\n\n{own}\n```{{eval-rst}}\n.. autoclass:: {path}\n   :no-index:\n```\n"
