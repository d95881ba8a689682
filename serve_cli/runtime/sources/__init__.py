"""Where images come from: folders, lists, manifests, tar shards, data sets -> rows in a stable order."""

from serve_cli.runtime.sources.dataset import table_source
from serve_cli.runtime.sources.open import open_source
from serve_cli.runtime.sources.source import Source, as_text

__all__ = ["Source", "as_text", "open_source", "table_source"]
