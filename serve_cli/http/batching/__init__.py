"""Images of many requests -> batches of the network."""
