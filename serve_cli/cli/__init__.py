"""The `lifted` command: options, console, and one module per command."""
