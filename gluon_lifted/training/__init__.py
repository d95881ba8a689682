"""A run, from its data to the frozen network."""
