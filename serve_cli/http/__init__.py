"""Embeddings and search over HTTP, and a page to search with."""
