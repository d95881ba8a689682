"""Parts of pages that are made from the code when the site is built."""

from site_pages.commands import commands_reference
from site_pages.losses import losses_reference
from site_pages.metrics import metrics_reference
from site_pages.python_api import api_reference

GENERATED = {
    "docs/reference/commands": commands_reference,
    "docs/reference/losses": losses_reference,
    "docs/reference/metrics": metrics_reference,
    "docs/reference/python": api_reference,
}
