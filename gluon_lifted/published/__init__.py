"""Weights that others publish for networks that we also have: their locations and preprocessing."""
