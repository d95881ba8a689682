"""Search embedded catalogs: indexes, queries, and loading into databases."""
