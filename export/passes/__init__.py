"""Rewrites of the finished graph, one per file."""
