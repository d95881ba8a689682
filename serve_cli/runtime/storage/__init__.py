"""Embedding folders: their plan, their parts, writing and reading them."""
