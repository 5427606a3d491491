"""References of the gallery's text as they can be read in a notebook, which has no Sphinx.

sphinx-gallery converts formulas, and leaves other roles as they stand. Here a name becomes code, a
text that was given is kept, and another page of the gallery is named by its notebook.
"""

import re

from sphinx_gallery import notebook

_ROLE = re.compile(r":(?!math:)(?:[a-z]+:)?[a-z]+:`([^`]+)`")
_PAGE = re.compile(r"sphx_glr_gallery_(\w+)\.py")
_rst2md = notebook.rst2md


def without_roles(text):
    """Return reST in which references are plain text and code."""

    def readable(match):
        given = re.fullmatch(r"(.+?)\s*<[^>]+>", match[1], re.DOTALL)
        if given:
            return given[1]
        page = _PAGE.fullmatch(match[1])
        return f"``{page[1]}.ipynb``" if page else f"``{match[1].lstrip('~/!')}``"

    return _ROLE.sub(readable, text)


def setup(app):
    """Let sphinx-gallery convert the rest."""
    notebook.rst2md = lambda text, *rest: _rst2md(without_roles(text), *rest)
    return {"parallel_read_safe": True}
