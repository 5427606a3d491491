"""What notebooks show: HTML that escapes texts and sets no colours."""

from html.parser import HTMLParser

from cnn._base import html


class Tree(HTMLParser):
    """Collects cells and texts, and checks that each tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tags = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data)


def test_a_table():
    text = html.table(["name", "n"], [["<b>", 3], [html.Markup("<i>x</i>"), '"&']], right=[1])
    tree = Tree(text)
    assert tree.texts == ["name", "n", "<b>", "3", "x", '"&']
    sides = [attrs["style"].split(";")[0] for tag, attrs in tree.tags if tag in ("td", "th")]
    assert sides == ["text-align:left", "text-align:right"] * 3
    assert "background" not in text
    assert "color:" not in text


def test_a_block():
    tree = Tree(html.block("<script>", "a & b", html.table(["x"], [[1]])))
    assert tree.texts == ["<script>", "a & b", "x", "1"]
    assert ("table", {"style": "border-collapse:collapse;"}) in tree.tags
