"""Metrics of embeddings: retrieval, clustering, confidence intervals, and a baseline."""
