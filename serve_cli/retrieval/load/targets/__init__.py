"""One module per database; each implements `serve_cli.retrieval.load.target.Target`."""
