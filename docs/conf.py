"""Sphinx builds the site from the Markdown files of the repository: `make docs`.

The source folder is the root of the repository, so that links between documents work in the site as they do on a forge.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from site_pages.cell_lengths import mark_cell_lengths
from site_pages.generated import GENERATED
from site_pages.mathml import add_mathml
from site_pages.navigation import HOME, navigation

from gluon_lifted import __version__

project = "gluon-lifted"
author = "the gluon-lifted authors"
version = release = __version__
language = "en"
smartquotes = False  # "--resume" in prose stays an option

root_doc = HOME
include_patterns = ["*.md", "docs/**.md", "benchmarks/results/*.md", "export/OPERATORS.md"]
exclude_patterns = ["build", "demo", "runs", ".*"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # headings of generated parts start below the page's own

highlight_language = "text"
default_role = "py:obj"
autodoc_typehints = "none"  # docstrings have the types, with shapes
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Inputs", "params_style"), ("Outputs", "params_style")]  # of Gluon blocks

html_theme = "furo"
html_static_path = ["site_pages/static"]
html_css_files = ["site.css"]
html_title = f"gluon-lifted {release}"
html_extra_path = ["site_pages/root"]  # index.html leads to the home page
html_math_renderer = "mathml"  # browsers render MathML themselves: no script, no CDN
html_copy_source = False
html_show_sphinx = html_show_copyright = False


def complete_page(app, name, source):
    """Append navigation or generated reference to a page before Sphinx reads it."""
    made = GENERATED[name]() if name in GENERATED else navigation(name, source[0])
    source[0] += f"\n\n{made}\n"


def setup(app):
    """Register what the pages need."""
    add_mathml(app)
    app.connect("source-read", complete_page)
    app.connect("doctree-resolved", mark_cell_lengths)
