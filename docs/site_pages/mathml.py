"""Render formulas as MathML when the site is built, with the converter of docutils."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

SYNONYMS = {r"\dots": r"\ldots"}  # commands that the converter lacks


def add_mathml(app):
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


def _inline(writer, node):
    writer.body.append(_mathml(node))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="math">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node, **options):
    formula = node.astext()
    for command, known in SYNONYMS.items():
        formula = formula.replace(command, known)
    return tex2mathml(formula, **options)
