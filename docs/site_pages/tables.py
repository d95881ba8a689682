"""Markdown tables."""


def table(header, rows):
    """Format a table; pipes and line breaks in cells are made safe."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text):
    return " ".join(str(text).replace("|", r"\|").split())
