"""What this machine has: CPUs, GPUs, system libraries."""
