"""Describe an MXNet network before it is exported: the content of its files, and guesses of what they omit."""
