"""Every number of a run, and where it comes from."""
