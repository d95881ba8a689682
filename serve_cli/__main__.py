"""Run the `lifted` command: ``python -m serve_cli``."""

from serve_cli.cli.main import main

if __name__ == "__main__":
    main()
