"""Run a training, from its data to the frozen network."""
