"""Search of embedded catalogs: indexes, queries, and hand-over to databases."""
