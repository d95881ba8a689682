"""Batches: which images they hold, and how these are decoded."""
