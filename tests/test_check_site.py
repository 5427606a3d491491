"""tools/check_site.py, which `make docs` runs on the built site, finds each kind of fault."""

import check_site
import pytest
from doc_blocks import ROOT


def page(body, title="A page", head="", html='<html lang="en">'):
    return f"<!doctype html>{html}<head>{head}<title>{title}</title></head><body>{body}</body>"


GOOD = {
    "index.html": page(
        '<h1 id="start">Start</h1>'
        '<a href="#">up</a> <a href="#start">here</a> <a href="sub/page.html#part%20two">there</a>'
        '<a href="sub/">a folder</a> <a href="https://example.org/nowhere#x">outside</a>'
        '<a href="mailto:a@example.org">mail</a> <a href="data.zip">a file</a>'
        '<img src="_images/a.png" srcset="_images/a.png, _images/b.png 2.00x" alt="A curve">'
        '<div><img src="_images/b.png" alt=""><p><a href="sub/page.html"><b>words</b></a></p></div>'
        '<svg role="img" aria-labelledby="t"><title id="t">Boxes</title><g></g></svg>'
        '<svg aria-hidden="true"><path d=""/></svg> <svg><path d=""/></svg>'
        "<p>The server listens at http://localhost:8000.</p>",
        "Start",
        '<link rel="stylesheet" href="_static/a.css?v=1"><script src="_static/a.js"></script>',
    ),
    "sub/page.html": page('<h1>Page</h1><a name="part two"></a><a href="../">home</a>'),
    "sub/index.html": page('<h1>Folder</h1><form action="../index.html"></form>', "Folder"),
    # A part of a theme, not a page.
    "_static/part.html": "<a href='nowhere.html'>a macro</a>",
    **dict.fromkeys(("_static/a.css", "_static/a.js", "data.zip"), ""),
    **dict.fromkeys(("_images/a.png", "_images/b.png"), ""),
}


@pytest.fixture
def check(tmp_path, capsys):
    """Return what a site of these files is told to have; the code must fit."""

    def checked(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        code = check_site.main([str(tmp_path)])
        told = capsys.readouterr()
        faults = told.err.splitlines()
        assert code == bool(faults)
        return told.out, faults

    return checked


def test_a_good_site_has_no_faults(check):
    out, faults = check(GOOD)
    assert faults == []
    assert "3 pages, 16 links (14 inside the site), 3 images, 9 files" in out


FAULTS = {
    "a page that is not there": ('<a href="no.html">x</a>', "'no.html' is not there"),
    "another case": ('<a href="Sub/page.html">x</a>', "'Sub/page.html' is not there"),
    "out of the site": ('<a href="../x.html">x</a>', "'../x.html' is not there"),
    "a folder without an index": ('<a href="_static/">x</a>', "'_static/' is not there"),
    "an anchor here": ('<a href="#no">x</a>', "'#no' has no such anchor"),
    "an anchor there": (
        '<a href="sub/page.html#no">x</a>',
        "#no' has no such anchor",
    ),
    "an image": ('<img src="no.png" alt="x">', "'no.png' is not there"),
    "a larger image": ('<img src="a.png" srcset="no.png 2x" alt="x">', "'no.png' is not there"),
    "a script": ('<script src="_static/no.js"></script>', "'_static/no.js' is not there"),
    "no alt": ('<div><img src="a.png"><a href="#">x</a></div>', "a.png has no alt text"),
    "an empty alt": ('<p><img src="a.png" alt=" "></p>', "a.png has no alt text"),
    "an empty alt beside words that are no link": (
        '<div><img src="a.png" alt=""><p>words</p></div><a href="#">x</a>',
        "a.png has no alt text",
    ),
    "a link of an image alone": (
        '<a href="#"><img src="a.png" alt=""></a><a href="#">x</a>',
        "a.png has no alt text",
    ),
    "a drawing without a title": ('<svg role="img"><g></g></svg>', "a drawing has no title"),
    "a label that is not there": (
        '<svg role="img" aria-labelledby="no"><title>x</title></svg>',
        "nothing has the id 'no' of a label",
    ),
    "two headings": ("<h1>again</h1>", "there are 2 h1, should be 1"),
    "an id twice": ('<p id="a"></p><p id="a"></p>', "the id 'a' is there 2 times"),
    "a file's address": ('<a href="file:///home/me/a.html">x</a>', "is a path of this machine"),
    "a path of Windows": (r'<a href="C:\site\a.html">x</a>', "is a path of this machine"),
    "the top of a server": ('<a href="/sub/page.html">x</a>', "begins with /"),
    "a server here": ('<a href="http://localhost:8000/">x</a>', "is on this machine"),
    "a number of this machine": ('<img src="http://127.0.0.1/a.png" alt="x">', "on this machine"),
    "where it was built": (f"<pre>{ROOT}/x.py</pre>", f"tells '{ROOT}', a path"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_page_is_found(check, name):
    body, told = FAULTS[name]
    _, faults = check({**GOOD, "a.png": "", "bad.html": page("<h1>Bad</h1>" + body, "Bad")})
    assert len(faults) == 1
    assert faults[0].startswith("error: bad.html: ")
    assert told in faults[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (page("<h1>x</h1>", "Bad", html="<html>"), "html has no lang"),
        (page("<h1>x</h1>", " "), "the page has no title"),
        (page("<h1>x</h1>", "Folder"), "2 pages have the title 'Folder'"),
        (page("<p>x</p>", "Bad"), "there are 0 h1, should be 1"),
        (page("<h1>x</h1><svg><title>Bad</title></svg>", ""), "the page has no title"),
    ],
)
def test_a_fault_of_the_whole_page_is_found(check, text, told):
    _, faults = check({**GOOD, "bad.html": text})
    assert f"error: bad.html: {told}" in faults
    assert len(faults) == 1 + told.startswith("2 pages")


def test_a_folder_without_pages_is_a_fault(check):
    _, faults = check({"readme.txt": ""})
    assert len(faults) == 1
    assert "has no pages" in faults[0]
