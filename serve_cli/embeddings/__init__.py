"""Embedding folders: write and read their plan, part files and manifest."""
