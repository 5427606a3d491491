"""Pages that are documents of the repository, such as CHANGELOG.md: where their links lead.

A page includes a document as it stands, with the directive `include`. Its links are changed to what
they mean from the page. Links to a document that is a page of the site, here and on all others,
lead to that page.
"""

import os
import re
from pathlib import Path

_INCLUDE = re.compile(r"^```\{include\} (\S+)", re.MULTILINE)
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"(!\[[^\]]*\]\([^)]*\))")

_pages = {}  # the page that includes a document


def _find_pages(app):
    """Note which documents outside the site's folder are pages."""
    for page in Path(app.srcdir).rglob("*.md"):
        for document in _INCLUDE.findall(page.read_text(encoding="utf-8")):
            _pages[(page.parent / document).resolve()] = page


def _replace_links(text, folder, page):
    """Return a text with its links, which are relative to a folder, as they are from a page."""

    def replaced(match):
        target = (folder / match[1]).resolve()
        if not target.exists():
            return match[0]
        target = _pages.get(target, target)
        return f"]({Path(os.path.relpath(target, page.parent)).as_posix()}{match[2] or ''})"

    return _LINK.sub(replaced, text)


def _read_page(app, docname, source):
    """Let a page's own links to documents that are pages lead to these."""
    page = Path(app.srcdir, docname)
    source[0] = _replace_links(source[0], page.parent, page)


def _read_included(app, path, parent, content):
    """Change the links of a document that is being included."""
    docname = app.env.docname
    page, document = Path(app.srcdir, docname), Path(app.srcdir, path).resolve()
    parts = _IMAGE.split(_replace_links(content[0], document.parent, page))
    for i in range(0, len(parts), 2):  # without images, which are copied, and not linked to
        text = [parts[i]]
        app.emit("source-read", docname, text)
        parts[i] = text[0]
    content[0] = "".join(parts)


def setup(app):
    """Connect to Sphinx."""
    app.connect("builder-inited", _find_pages, priority=900)  # after pages are made
    app.connect("source-read", _read_page, priority=400)  # before links to the repository are made
    app.connect("include-read", _read_included)
    return {"parallel_read_safe": True}
