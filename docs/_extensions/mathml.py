"""Formulas as MathML, which browsers draw by themselves: no script, and nothing from other servers.

docutils converts them from LaTeX. A formula that it cannot read fails the build.
"""

from docutils import nodes
from docutils.utils.math import latex2mathml


def _inline(self, node):
    self.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(self, node):
    formula = latex2mathml.tex2mathml(node.astext(), as_block=True)
    self.body.append(self.starttag(node, "div", CLASS="formula"))
    self.body.append(f"{formula}</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Make this the way in which pages show formulas."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    return {"parallel_read_safe": True}
