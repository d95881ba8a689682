"""What stands beside measured values: those that were published."""
