"""Mark short and long cells of tables: site.css keeps dates and intervals on one line, and gives sentences room."""

from docutils import nodes

SHORT, LONG = 20, 48  # characters


def mark_cell_lengths(app, doctree, name):
    """Give the class ``short`` or ``long`` to the cells of a page."""
    for cell in doctree.findall(nodes.entry):
        length = len(cell.astext())
        cell["classes"] += ["short"] * (length <= SHORT) + ["long"] * (length >= LONG)
