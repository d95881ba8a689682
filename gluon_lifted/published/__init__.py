"""Weights that others publish for the networks that are ours too: where they are, and how they see images."""
