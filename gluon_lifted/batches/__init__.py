"""Which images stand in a batch, and how they come to the network."""
