"""Embedding folders: their plan and part files, written in several formats and read again."""
