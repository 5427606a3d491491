"""The directive `drawing`: an SVG file as a part of the page, so that it has the page's colours.

    ```{drawing} drawings/floors.svg
    ```

The file is relative to the page. It must have a `title` and a `desc`, which say in words what it
shows to those who cannot see it.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive


class Drawing(Directive):
    """A drawing, which scrolls on a screen that is narrower than it can be read on."""

    required_arguments = 1

    def run(self):
        """Return the figure."""
        env = self.state.document.settings.env
        name, path = env.relfn2path(self.arguments[0])
        env.note_dependency(name)
        svg = Path(path).read_text(encoding="utf-8")
        svg = svg[svg.index("<svg") :]
        for part in ("title", "desc"):
            if not re.search(rf"<{part}[^>]*>[^<]", svg):
                raise self.error(f"{name} has no {part}")
        html = f'<figure class="cnn-drawing" tabindex="0">{svg}</figure>'
        return [nodes.raw("", html, format="html")]


def setup(app):
    """Add the directive."""
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True}
