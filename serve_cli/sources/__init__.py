"""Where images come from: folders, lists, manifests, tar shards, data sets -> rows in a stable order."""

from serve_cli.sources.dataset import table_source
from serve_cli.sources.resolve import open_source
from serve_cli.sources.source import Source, as_text

__all__ = ["Source", "as_text", "open_source", "table_source"]
