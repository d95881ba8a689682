"""Ranks of the right answers: exact, by tiles of matrix products, without sorting where it can be done without."""
