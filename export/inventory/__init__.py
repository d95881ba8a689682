"""Describe an MXNet network before it is exported: what is in its files, and guesses of what they do not say."""
