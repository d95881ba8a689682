"""Configuration of a run: every number with its source."""
