"""Queries of an index: photographs, ids or embeddings in, rows with exact distances out."""
