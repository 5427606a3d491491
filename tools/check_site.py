"""Checks the pages of a built site, without a network and without a browser.

Every link and image inside the site leads to a file that is there, with its case, and every #anchor
to an element. Each page has a language, one h1 and a title of its own, and no id twice. Each image
says in words what it shows, or stands beside a link that does. Nothing leads to a path or a server
of the machine that built the site, and no page tells such a path. Prints counts and the size; exits
with 1 if anything is wrong.

    python tools/check_site.py [FOLDER]
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]

# The attributes that name other files, of all elements.
ADDRESSES = ("href", "src", "action", "data", "poster")
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
HEADING = "h1"
BOXES = {"a", "div", "figure", "li"}


class Link(NamedTuple):
    """An address that a page names, and the line on which it does."""

    address: str
    line: int


class Box:
    """An element around images: those that leave it to a link beside them to say what they show."""

    def __init__(self) -> None:
        self.silent: list[str] = []
        self.has_link = False


class Page(HTMLParser):
    """What a page has that the checks ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.language = ""
        self.title = ""
        self.headings = 0
        self.images = 0
        self.ids: Counter[str] = Counter()
        self.anchors: set[str] = set()
        self.links: list[Link] = []
        self.labels: list[Link] = []  # ids that say in words what an element is
        self.faults: list[str] = []
        self._text_of: str | None = None  # the element whose text is being read
        self._drawings: list[dict[str, bool | int]] = []  # the SVG elements that are open
        self._boxes: list[tuple[str, Box]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names and is named."""
        values = {name: value or "" for name, value in attrs}
        line = self.getpos()[0]
        if tag == "html":
            self.language = values.get("lang", "")
        self.headings += tag == HEADING
        if tag in BOXES:
            self._boxes.append((tag, Box()))
        if "id" in values:
            self.ids[values["id"]] += 1
            self.anchors.add(values["id"])
        if tag == "a" and "name" in values:
            self.anchors.add(values["name"])
        if tag == "title":
            self._text_of = "drawing" if self._drawings else "page"
        for name in ADDRESSES:
            if name in values and (name != "data" or tag == "object"):
                self.links.append(Link(values[name].strip(), line))
        for part in values.get("srcset", "").split(","):
            if part.strip():
                self.links.append(Link(part.split()[0], line))
        self.labels += [Link(name, line) for name in values.get("aria-labelledby", "").split()]
        self._note_image(tag, values, line)

    def _note_image(self, tag: str, values: Mapping[str, str], line: int) -> None:
        hidden = values.get("aria-hidden") == "true" or values.get("role") == "presentation"
        labelled = bool(values.get("aria-label", "").strip())
        if tag == "img":
            self.images += 1
            fault = f"line {line}: {values.get('src', 'an image')} has no alt text"
            if hidden or labelled or values.get("alt", "").strip():
                return
            if values.get("alt") == "" and self._boxes:
                self._boxes[-1][1].silent.append(fault)
            else:
                self.faults.append(fault)
        elif tag == "svg":
            told = hidden or labelled or values.get("role") != "img"
            self.images += values.get("role") == "img"
            self._drawings.append({"told": told, "line": line})

    def handle_data(self, data: str) -> None:
        """Note titles, of the page or of a drawing in it."""
        if self._text_of == "page":
            self.title += data
        elif self._text_of == "drawing" and data.strip():
            self._drawings[-1]["told"] = True
        elif data.strip() and self._boxes and self._boxes[-1][0] == "a":
            self._boxes[-1][1].has_link = True

    def handle_endtag(self, tag: str) -> None:
        """End what was begun."""
        if tag == "title":
            self._text_of = None
        elif tag == "svg" and self._drawings:
            drawing = self._drawings.pop()
            if not drawing["told"]:
                self.faults.append(f"line {drawing['line']}: a drawing has no title")
        elif tag in BOXES and self._boxes:
            self._end_box()

    def _end_box(self) -> None:
        tag, box = self._boxes.pop()
        if tag == "a" and box.has_link and self._boxes:
            self._boxes[-1][1].has_link = True
        if not box.has_link:
            self.faults += box.silent


class Site:
    """The files of a folder, and its pages."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        # What lies in folders that begin with _ serves pages and is none, such as a theme's parts.
        self.texts = {
            name: path.read_text(encoding="utf-8")
            for name, path in self.files.items()
            if name.endswith(".html") and not re.search(r"(^|/)_", name)
        }
        self.pages = {name: Page(text) for name, text in self.texts.items()}
        self.internal = 0

    def faults(self) -> Iterator[str]:
        """Find what is wrong, page by page."""
        titles = Counter(page.title.strip() for page in self.pages.values())
        for name, page in self.pages.items():
            for fault in self._faults_of(name, page, titles):
                yield f"{name}: {fault}"

    def _faults_of(self, name: str, page: Page, titles: Counter[str]) -> Iterator[str]:
        yield from page.faults
        if not page.language.strip():
            yield "html has no lang"
        title = page.title.strip()
        if not title:
            yield "the page has no title"
        elif titles[title] > 1:
            yield f"{titles[title]} pages have the title {title!r}"
        if page.headings != 1:
            yield f"there are {page.headings} {HEADING}, should be 1"
        yield from (f"the id {i!r} is there {n} times" for i, n in page.ids.items() if n > 1)
        for label in page.labels:
            if label.address not in page.anchors:
                yield f"line {label.line}: nothing has the id {label.address!r} of a label"
        for link in page.links:
            if wrong := self._fault_of(name, link.address):
                yield f"line {link.line}: {link.address!r} {wrong}"
        text = self.texts[name]
        for path in [path for path in local_paths() if path in text][:1]:
            line = text[: text.index(path)].count("\n") + 1
            yield f"line {line}: tells {path!r}, a path of this machine"

    def _fault_of(self, name: str, address: str) -> str:
        """Tell what is wrong with an address on a page; empty if nothing is."""
        parts = urlsplit(address)
        if parts.scheme == "file" or re.match(r"[A-Za-z]:[\\/]", address):
            return "is a path of this machine"
        if parts.hostname in LOCAL_HOSTS:
            return "is on this machine"
        if parts.scheme or parts.netloc:
            return ""
        self.internal += 1
        if parts.path.startswith("/"):
            return "begins with /, and fails if the site is not at the top of its server"
        path = unquote(parts.path)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if path.endswith(("/", ".")) or target == ".":
            target = posixpath.normpath(posixpath.join(target, "index.html"))
        if target not in self.files:
            return "is not there"
        anchor = unquote(parts.fragment)
        if anchor and anchor != "top" and target in self.pages:
            return "" if anchor in self.pages[target].anchors else "has no such anchor"
        return ""


def local_paths() -> list[str]:
    """Return the paths of this project and of its environment: they tell where a site was built."""
    environment = [sys.prefix] if sys.prefix != sys.base_prefix else []
    return sorted({str(ROOT), *environment}, key=len, reverse=True)


def main(arguments: list[str]) -> int:
    """Check a site; return the exit code."""
    folder = Path(arguments[0] if arguments else ROOT / "build" / "docs" / "html")
    site = Site(folder)
    faults = list(site.faults())
    if not site.pages:
        faults.append(f"{folder} has no pages")
    images = sum(page.images for page in site.pages.values())
    links = sum(len(page.links) for page in site.pages.values())
    size = sum(path.stat().st_size for path in site.files.values())
    print(
        f"{folder}: {len(site.pages)} pages, {links} links ({site.internal} inside the site), "
        f"{images} images, {len(site.files)} files, {size / 1e6:.1f} MB"
    )
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
