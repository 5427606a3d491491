"""The pages of the C API, made from cnn.h: an extension of Sphinx without settings.

Before Sphinx reads the documents, `c/generated` gets a page for each section of the header, and the
parts of `c/index.md` that are the header's. A comment belongs to the declarations below it, up to
the next comment or empty line. Each name that a comment mentions becomes a link. What this file
cannot read, a declaration without a comment, and a function that csrc/symbols.txt lists and no page
has are errors.
"""

import re
from pathlib import Path
from typing import NamedTuple

import generated

ROOT = Path(__file__).parents[2]
HEADER = ROOT / "csrc" / "include" / "cnn" / "cnn.h"
SYMBOLS = ROOT / "csrc" / "symbols.txt"
# Types of the C standard, which have no page here.
STANDARD_TYPES = ("int64_t", "ptrdiff_t", "size_t", "uint32_t", "uint64_t")


class Row(NamedTuple):
    """A constant of an enum, or fields of a struct that share a comment."""

    names: list[str]  # as the C domain declares them: "CNN_OK", "double beta1"
    cells: list[str]


class Group(NamedTuple):
    """Declarations of one kind that share a comment."""

    kind: str  # the C domain's directive: function, macro, enum, struct, type
    names: list[str]
    signatures: list[str]
    comment: list[str]
    code: list[str]  # of macros that stand for a value
    head: list[str]  # of the table of rows
    rows: list[Row]


class Section(NamedTuple):
    """A section of the header."""

    title: str
    groups: list[Group]

    @property
    def slug(self):
        """Return the name of the page."""
        return re.sub(r"\W+", "-", self.title.lower().replace("'", ""))


# ---- Reading -------------------------------------------------------------------------------------

_TEXT = r"(?:(?!\*/).)*"  # of one comment
_PARTS = re.compile(
    rf"""
    /\*\ ----\ (?P<section>.*?)\ -+\ \*/\n
    | /\*(?P<comment>{_TEXT})\*/\n
    | \#define\ (?P<list>\w+)\(X\)(?P<items>(?:[^\n]*\\\n)*[^\n]*)\n
    | \#define\ (?P<macro>\w+)\ (?P<value>[^\n]+)\n
    | typedef\ enum\ (?P<enum>\w+)\ \{{\n(?P<constants>.*?)^\}}\ \w+;\n
    | typedef\ struct\ (?P<struct>\w+)\ \{{\n(?P<fields>.*?)^\}}\ \w+;\n
    | typedef\ struct\ (?P<opaque>\w+)\ \w+;\n
    | CNN_API\ (?P<function>[^;]*);\n
    | (?P<empty>\n)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_BEFORE, _AFTER = rf"(?:/\*({_TEXT})\*/\s*)?", rf"[ \t]*(?:/\*({_TEXT})\*/)?"
_LIST_ITEM = re.compile(r"X\(([^)]*)\)" + _AFTER)
_CONSTANT = re.compile(_BEFORE + r"(\w+) = (-?\d+),?" + _AFTER, re.DOTALL)
_NAME = r"\w+(?:\[\w+\])?"
_FIELD = re.compile(_BEFORE + rf"(\w[\w ]*[ *])({_NAME}(?:, {_NAME})*);" + _AFTER, re.DOTALL)


def comment_lines(text):
    """Return the lines of a comment without its stars and its indentation."""
    lines = [re.sub(r"^\s*\* ?|^ ", "", line).rstrip() for line in text.splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _note(*texts):
    return " ".join(line.strip() for text in texts if text for line in comment_lines(text)).strip()


def _members(pattern, body):
    """Return all that the pattern finds in a body, of which nothing else may be left."""
    left = pattern.sub("", body).strip()
    if left:
        raise ValueError(f"{HEADER}: cannot read {left[:60]!r}")
    return pattern.findall(body)


def _enum_rows(body, lists):
    """Return the head and the rows of an enum's table."""
    made = re.search(r"CNN_X\((.*?)\) (\w+)##constant = value,\s+(\w+)\(CNN_X\)", body)
    if not made:
        rows = [
            Row([name], [value, _note(before, after)])
            for before, name, value, after in _members(_CONSTANT, body)
        ]
        return ["Constant", "Value", "Meaning"], rows
    head = ["Constant", *(word.strip().capitalize() for word in made[1].split(",")[1:])]
    rows = []
    for items, note in _members(_LIST_ITEM, lists[made[3]]):
        constant, *cells = (item.strip() for item in items.split(","))
        cells = ["" if cell == "NULL" else cell.strip('"') for cell in cells]
        rows.append(Row([made[2] + constant], [*cells, _note(note)]))
    count = re.search(r"\b\w+_COUNT\b", body)[0]
    rows.append(Row([count], [str(len(rows)), *[""] * (len(head) - 1)]))
    return [*head, "Meaning"], rows


def _struct_rows(name, body):
    """Return the head and the rows of a struct's table."""
    rows = []
    for before, kind, names, after in _members(_FIELD, body):
        note = _note(before, after) or f"`sizeof({name})`" * (names == "struct_size")
        rows.append(Row([kind + field for field in names.split(", ")], [note]))
    return ["Field", "Meaning"], rows


def _parsed(part, comment, lists):
    """Return the group of one declaration."""
    head, rows, code = [], [], []
    if part["function"]:
        kind, signature = "function", " ".join(part["function"].split())
        name = re.search(r"(\w+)\(", signature)[1]
    elif part["list"] or part["macro"]:
        kind, name = "macro", part["list"] or part["macro"]
        signature = f"{name}(X)" if part["list"] else name
        if part["list"]:
            lists[name] = part["items"].replace("\\\n", "\n")
        else:
            code = [f"#define {name} {part['value']}"]
    else:
        kind = "enum" if part["enum"] else "struct" if part["struct"] else "type"
        name = signature = part["enum"] or part["struct"] or part["opaque"]
        if kind == "enum":
            head, rows = _enum_rows(part["constants"], lists)
        elif kind == "struct":
            head, rows = _struct_rows(name, part["fields"])
    return Group(kind, [name], [signature], comment, code, head, rows)


def _unconditional(text):
    """Leave out what depends on the compiler, and the inclusion of other headers."""
    kept, depth = [], 0
    for line in text.splitlines():
        depth += line.startswith("#if")
        if not depth and not line.startswith(("#endif", "#include")):
            kept.append(line)
        depth -= line.startswith("#endif") and depth > 0
    return "\n".join(kept) + "\n"


def read(text):
    """Return the header's first comment and its sections."""
    first, rest = re.fullmatch(
        r"/\*(.*?)\*/\n#ifndef \w+\n#define \w+\n(.*)", text, re.DOTALL
    ).groups()
    rest = _unconditional(rest)
    sections, lists, comment, at, joins = [], {}, None, 0, False
    early = []  # what comes before the first section belongs to it
    while at < len(rest):
        part = _PARTS.match(rest, at)
        if not part:
            raise ValueError(f"{HEADER}: cannot read {rest[at : at + 60]!r}")
        at = part.end()
        groups = sections[-1].groups if sections else early
        if part["section"]:
            sections.append(Section(part["section"], early if not sections else []))
        elif part["comment"]:
            comment, joins = comment_lines(part["comment"]), False
        elif part["empty"]:
            comment, joins = None, False
        else:
            of_list = part["enum"] and "(CNN_X)" in part["constants"]
            if comment is None and not of_list:
                raise ValueError(f"{HEADER}: there is no comment for {part[0]!r}")
            made = _parsed(part, comment or [], lists)
            if joins and groups[-1].kind == made.kind and not made.rows:
                groups[-1].names.extend(made.names)
                groups[-1].signatures.extend(made.signatures)
                groups[-1].code.extend(made.code)
            elif joins:
                raise ValueError(f"{HEADER}: {made.names[0]} needs a comment of its own")
            else:
                groups.append(made)
            joins = True
    return comment_lines(first), sections


# ---- Writing -------------------------------------------------------------------------------------

_WORD = re.compile(
    r"""
    `(?P<quoted>[^`]+)`
    | (?P<string>"[^"\s]*")
    | (?P<name>\bcnn_\w+|\bCNN_\w+)(?P<call>\([^()]*\))?
    | (?P<code>\b\w+->\w+|\b[\w/]+\.[ch]\b|\b\w*[A-Za-z]_\w+|\bNULL\b)
    | (?P<special>[\\*_`|])
    """,
    re.VERBOSE,
)


class Writer:
    """Writes comments and declarations as reStructuredText, with links to all names."""

    def __init__(self, sections):
        self.roles = {}
        for section in sections:
            for group in section.groups:
                role = "func" if group.kind == "function" else group.kind
                self.roles |= dict.fromkeys(group.names, role)
                if group.kind == "enum":
                    constants = [name for row in group.rows for name in row.names]
                    self.roles |= dict.fromkeys(constants, "enumerator")

    def prose(self, text, own=()):
        """Return a line of text; `own` are names that it need not link to."""

        def replaced(match):
            if match["special"]:
                return "\\" + match[0]
            name = match["name"]
            target = name if name in self.roles else f"{name}_f32"
            if name and target in self.roles and name not in own:
                title = name + (match["call"] or "()" * (self.roles[target] == "func"))
                found = f":c:{self.roles[target]}:`{title} <{target}>`"
            else:
                found = f"``{match['quoted'] or match[0]}``"
            # A mark that touches a word is none; "\\ " parts them and is not shown.
            before, after = text[: match.start()][-1:], text[match.end() :][:1]
            if before and before not in " \"'([{<-/:":
                found = f"\\ {found}"
            return f"{found}\\ " if after and after not in " \"')]}>-/:.,;!?" else found

        return _WORD.sub(replaced, text)

    def comment(self, lines, own=()):
        """Return a comment: paragraphs, and what is indented in it."""
        out, i = [], 0
        while i < len(lines):
            indented = lines[i].startswith(" ")
            j = i
            while j < len(lines) and (
                lines[j].startswith(" ") == indented
                if lines[j]
                else indented and j + 1 < len(lines) and lines[j + 1].startswith(" ")
            ):
                j += 1
            block = lines[i:j]
            if indented:
                out += self._indented(block, own)
            elif block:
                out += [self.prose(" ".join(block), own), ""]
            i = max(j, i + 1)
        return out

    def _indented(self, block, own):
        """Return a list of terms and their meanings, or formulas and code as they stand."""
        margin = min(len(line) - len(line.lstrip()) for line in block if line)
        block = [line[margin:] for line in block]
        items = []
        for line in block:
            term = re.match(r"(\w+)\s{2,}(\S.*)$", line)
            if term:
                items.append([term[1], term[2]])
            elif items and line.startswith(" "):
                items[-1][1] += f" {line.strip()}"
            else:
                items = None
                break
        if items is None:
            language = "c" if block[-1].endswith(";") else "none"
            out = [f".. code-block:: {language}", f"   :class: c-{language}", ""]
            return [*out, *(f"   {line}".rstrip() for line in block), ""]
        formulas = sum(bool(re.search(r"[=^]|_j\b", text)) for _, text in items) > 2
        out = [f".. container:: {'c-terms c-formulas' if formulas else 'c-terms'}", ""]
        for term, text in items:
            title = f"``{term}``" if term.islower() else term
            out += [f"   {title}", f"      {f'``{text}``' if formulas else self.prose(text, own)}"]
        return [*out, ""]

    def table(self, kind, head, rows):
        """Return the table of an enum's or a struct's members, without an empty last column."""
        if not any(row.cells[-1] for row in rows):
            head, rows = head[:-1], [Row(row.names, row.cells[:-1]) for row in rows]
        out = [".. list-table::", "   :header-rows: 1", "   :class: c-members", ""]
        out += [f"   {'* -' if not i else '  -'} {cell}" for i, cell in enumerate(head)]
        directive = "enumerator" if kind == "enum" else "member"
        for row in rows:
            signatures = f"\n{' ' * (len(directive) + 14)}".join(row.names)
            out += f"   * - .. c:{directive}:: {signatures}".splitlines()
            out += ["          :no-contents-entry:", ""]
            for cell in row.cells:  # names of activations and the like are words
                word = re.fullmatch(r"[a-z]\w*", cell)
                text = cell.replace("_", r"\_") if word else self.prose(cell)
                out.append(f"     - {text}".rstrip())
        return [*out, ""]

    def group(self, group):
        """Return the entry of declarations that share a comment."""
        directive = f".. c:{group.kind}::"
        out = [f"{directive} {group.signatures[0]}"]
        out += [f"{' ' * len(directive)} {signature}" for signature in group.signatures[1:]]
        inner = ["", *self.comment(group.comment, group.names)]
        if group.code:
            inner += [".. code-block:: c", "", *(f"   {line}" for line in group.code), ""]
        if group.rows:
            inner += self.table(group.kind, group.head, group.rows)
        return out + [f"   {line}".rstrip() for line in inner] + [""]

    def page(self, section):
        """Return the page of a section."""
        title = f"C API: {section.title[0].lower()}{section.title[1:]}"
        out = [title, "=" * len(title), ""]
        for group in section.groups:
            out += self.group(group)
        return "\n".join(out)

    def contents(self, sections):
        """Return a table of the sections and their names; f32 stands for f64 too."""
        out = [".. list-table::", "   :header-rows: 1", "   :class: c-contents", ""]
        out += ["   * - Page", "     - What it has"]
        for section in sections:
            names = [name for group in section.groups for name in group.names]
            names = [name for name in names if name.removesuffix("_f64") + "_f32" not in names]
            links = [self.prose(name.removesuffix("_f32")) for name in names]
            out.append(f"   * - :doc:`{section.title} <generated/{section.slug}>`")
            out.append(f"     - {', '.join(links)}")
        out += ["", ".. toctree::", "   :hidden:", ""]
        out += [f"   {section.title} <generated/{section.slug}>" for section in sections]
        return "\n".join([*out, ""])


def parts_of(first):
    """Return the first comment's parts by their titles; '' has what comes before them.

    A title has no margin, and what belongs to it has one of two spaces.
    """
    parts, title = {"": []}, ""
    for i, line in enumerate(first):
        heading = line and not line.startswith(" ") and first[i - 1] == ""
        if heading and first[i + 1 : i + 2] and first[i + 1].startswith("  "):
            title = line
            parts[title] = []
        else:
            parts[title].append(line)
    return parts


def pages():
    """Return the text of each generated file by its name."""
    first, sections = read(HEADER.read_text(encoding="utf-8"))
    writer = Writer(sections)
    made = {f"{section.slug}.rst": writer.page(section) for section in sections}
    made["contents.inc"] = writer.contents(sections)
    for title, lines in parts_of(first).items():
        if title and not re.match(r"  \w+ {2,}", lines[0]):  # a list keeps its margin
            text = writer.comment([line[2:] for line in lines])
        else:
            text = writer.comment(lines)
        made[f"{title.lower().replace(' ', '-') or 'introduction'}.inc"] = "\n".join(text)
    return made


# ---- Sphinx --------------------------------------------------------------------------------------


def _generate(app):
    generated.write(Path(app.srcdir) / "c" / "generated", pages())


def _break_lines(app, doctree):
    """Let lines break between parameters, not inside of one, nor before the () of a long name."""
    from sphinx.addnodes import desc_parameter, desc_signature

    if not app.env.current_document.docname.startswith("c/"):
        return
    for node in doctree.findall(desc_parameter):
        node.attributes.pop("noemph", None)  # each is an element of its own
    for node in doctree.findall(desc_signature):
        node["_toc_name"] = node.get("_toc_name", "").removesuffix("()")


def _check(app, env):
    """All that libcnn exports is in the index."""
    from sphinx.errors import ExtensionError

    there = {entry[0] for entry in env.domains["c"].get_objects()}
    missing = [name for name in SYMBOLS.read_text().split() if name not in there]
    if missing:
        raise ExtensionError(f"the C API lacks {', '.join(missing)}")


def setup(app):
    """Connect what this file adds to Sphinx."""
    app.connect("builder-inited", _generate)
    app.connect("doctree-read", _break_lines, priority=400)  # before contents are collected
    app.connect("env-check-consistency", _check)
    app.config.nitpick_ignore += [("c:identifier", name) for name in STANDARD_TYPES]
    app.add_css_file("c.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
