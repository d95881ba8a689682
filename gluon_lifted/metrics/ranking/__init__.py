"""Exact ranks of positives, computed from tiles of matrix products and mostly without sorting."""
