"""A canvas for drawings in SVG that take the colours of the page they are in.

The colours are those of the site's theme, which has a light and a dark one. If a file is shown by
itself, other colours stand in for them. A drawing is 640 units wide and is shown about as wide.
"""

from html import escape
from pathlib import Path

WIDTH = 640

# The colours: of the theme, and if there is none.
INK = "var(--pst-color-text-base, #222832)"
QUIET = "var(--pst-color-text-muted, #48566b)"
BOXES = {
    "plain": ("surface", "#f3f4f5", "border", "#d1d5da"),
    "a": ("primary-bg", "#d0ecf1", "primary", "#0a7d91"),
    "b": ("secondary-bg", "#e0c7ff", "secondary", "#8045e5"),
    "c": ("warning-bg", "#f8e3d0", "warning", "#f66a0a"),
    "d": ("success-bg", "#d6ece1", "success", "#00843f"),
}

STYLE = f"""
.cnn-svg text {{ fill: {INK}; font-size: 15px;
  font-family: var(--pst-font-family-base, sans-serif); }}
.cnn-svg text.small {{ font-size: 13px; }}
.cnn-svg text.bold {{ font-weight: 600; }}
.cnn-svg text.mono {{ font-size: 13.5px;
  font-family: var(--pst-font-family-monospace, monospace); }}
.cnn-svg text.quiet {{ fill: {QUIET}; }}
.cnn-svg .line, .cnn-svg .frame {{ fill: none; stroke: {QUIET}; stroke-width: 1.5; }}
.cnn-svg .dashed {{ stroke-dasharray: 4 4; stroke-width: 1; }}
.cnn-svg .head {{ fill: {QUIET}; }}
""" + "".join(
    f".cnn-svg .{name} {{ fill: var(--pst-color-{fill}, {light}); "
    f"stroke: var(--pst-color-{edge}, {dark}); }}\n"
    for name, (fill, light, edge, dark) in BOXES.items()
)


class Canvas:
    """A drawing that is being made."""

    def __init__(self, name, title, description, height, top=0):
        self.name, self.title, self.description = name, title, description
        self.top, self.height = top, height
        self.parts = []

    def rect(self, x, y, width, height, kind="plain", round=3):
        """Add a rectangle: plain, frame, or a, b, c or d, which are colours."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'rx="{round}"/>'
        )

    def text(self, x, y, text, kind="", anchor="start"):
        """Add a line of text: small, bold, mono, quiet; y is its base line."""
        self.parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def code(self, x, y, lines, step=18):
        """Add lines of text with their spaces."""
        for i, line in enumerate(lines):
            self.parts.append(
                f'<text class="mono" x="{x:g}" y="{y + step * i:g}" xml:space="preserve">'
                f"{escape(line)}</text>"
            )

    def box(self, x, y, width, height, text, kind="plain", text_kind=""):
        """Add a rectangle with lines of text in its middle."""
        self.rect(x, y, width, height, kind)
        lines = text.split("\n")
        for i, line in enumerate(lines):
            base = y + height / 2 + 5 + (i - (len(lines) - 1) / 2) * 18
            self.text(x + width / 2, base, line, text_kind, "middle")

    def path(self, points, kind="line", arrow=False, close=False):
        """Add straight lines from point to point, with an arrow at the end."""
        data = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + ("Z" if close else "")
        marker = f' marker-end="url(#{self.name}-arrow)"' if arrow else ""
        self.parts.append(f'<path class="{kind}" d="{data}"{marker}/>')

    def arrow(self, *points, kind="line"):
        """Add an arrow through points."""
        self.path(points, kind, arrow=True)

    def save(self):
        """Write the file beside this one."""
        name = self.name
        body = "\n".join(self.parts)
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cnn-svg" role="img" '
            f'viewBox="0 {self.top:g} {WIDTH} {self.height - self.top:g}" '
            f'aria-labelledby="{name}-title {name}-desc">\n'
            f'<title id="{name}-title">{escape(self.title)}</title>\n'
            f'<desc id="{name}-desc">{escape(self.description)}</desc>\n'
            f"<style>{STYLE}</style>\n"
            f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" '
            f'markerWidth="7" markerHeight="7" orient="auto">'
            f'<path class="head" d="M0 0L8 4L0 8Z"/></marker></defs>\n{body}\n</svg>\n'
        )
        Path(__file__).with_name(f"{name}.svg").write_text(svg, encoding="utf-8")
