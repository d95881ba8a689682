"""Hardware and system libraries of this host: CPUs, memory, GPUs."""
