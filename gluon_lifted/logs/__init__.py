"""What a run writes of itself while it trains: log, curves, TensorBoard events."""
