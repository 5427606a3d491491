"""The settings of the site, for Sphinx. `make docs` builds it into build/docs."""

import html
import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx_gallery.directives import imgsgnode

import cnn

DOCS = Path(__file__).parent
ROOT = DOCS.parent
# The extensions import from these as well.
sys.path[:0] = [str(DOCS / "_extensions"), str(ROOT / "tools")]
sys.path.append(str(ROOT / "benchmarks"))

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

# The pages of the gallery, in the order of the lecture, then of use.
EXAMPLES = [
    "gates_and_xor",
    "activation_functions",
    "scores_to_probabilities",
    "maximum_likelihood",
    "backpropagation_by_hand",
    "why_relu",
    "initial_weights",
    "optimizers",
    "overfitting",
    "regression_and_classification",
    "mnist_in_batches",
    "same_bits",
    "network_in_a_header",
    "drop_in_for_sklearn",
    "control_policy",
    "text_and_missing_values",
    "forest_in_a_network",
    "inside",
    "physics_loss",
    "every_plot",
]

# The gallery is measured and drawn by one thread, so that it is the same on every machine.
os.environ["CNN_NUM_THREADS"] = "1"

project = "cnn"
author = "The cnn developers"
copyright = author
release = version = cnn.__version__
language = "en"

extensions = [
    "c_pages",
    "command_line",
    "mathml",
    "myst_parser",
    "notebook_roles",
    "numpydoc",
    "python_names",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "benchmark_pages",
    "drawing",
    "included",
]
default_role = "literal"
nitpicky = True
suppress_warnings = ["config.cache"]  # a class of this file, which is no module, sorts the gallery

# ---- Markdown ------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Blocks of commands, which the documents indent, and of text.
highlight_language = "none"

# ---- Names of Python -----------------------------------------------------------------------------

autosummary_generate = True
templates_path = ["_templates"]
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
autodoc_preserve_defaults = True  # as the source has them: sets have no order
autodoc_typehints = "none"  # numpydoc has the types, in words
numpydoc_show_class_members = False
numpydoc_xref_param_type = True

# The build needs no network: the names of other projects that are used here are in files, which
# tools/trim_inventories.py writes.
INVENTORIES = tomllib.loads((DOCS / "inventories" / "names.toml").read_text())
intersphinx_mapping = {
    name: (inventory["url"], f"inventories/{name}.inv") for name, inventory in INVENTORIES.items()
}

# Types are sentences: words link if they are here, numpydoc's own, or classes of cnn.
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    name: f":py:obj:`{name}`"
    for inventory in INVENTORIES.values()
    for role, name in map(str.split, inventory["names"])
    if role in {"py:class", "py:exception"}
}
numpydoc_xref_aliases |= {
    "callable": ":py:func:`callable <callable>`",
    "mapping": ":term:`python:mapping`",
}

# ---- Names of C ----------------------------------------------------------------------------------

# Signatures stay in one line, which c.css wraps between the parameters.
c_maximum_signature_line_length = 10_000

# ---- Gallery -------------------------------------------------------------------------------------


class InOrder:
    """Sort the pages of the gallery as `EXAMPLES` has them; a page that is not there fails."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, filename):
        """Return the place of a file."""
        return EXAMPLES.index(filename.removesuffix(".py"))


def _style(gallery_conf, filename):
    """Draw all figures alike."""
    import matplotlib

    matplotlib.rcParams.update(
        {
            "figure.figsize": (8, 4),
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "legend.frameon": False,
        }
    )


sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": InOrder,
    "abort_on_example_error": True,
    "image_srcset": ["2x"],
    "doc_module": ("cnn",),
    "capture_repr": ("_repr_html_",),  # of networks and histories; print() shows the rest
    "backreferences_dir": "gallery/backreferences",
    "show_signature": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib", _style),
    "write_computation_times": False,
}

# ---- Looks ---------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "cnn"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["cnn.css"]
html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_show_sourcelink = False
html_copy_source = False
# Single pages have no section, whose pages would stand on the left.
SINGLE_PAGES = ["accuracy", "changelog", "genindex", "ja/index", "py-modindex"]
html_sidebars = {page: [] for page in SINGLE_PAGES}
html_theme_options = {
    "logo": {
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "text": "cnn",
        "alt_text": "",  # the text beside it says it
    },
    "github_url": REPOSITORY,
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
}

# ---- Links to files of the repository ------------------------------------------------------------

_LINK = re.compile(r"\]\((\.\./[^)\s#]+)(#[^)\s]*)?\)")


def _link_to_repository(app, docname, source):
    """Let links to files that are not part of the site lead to the repository.

    The documents name them by their paths, so that they also lead there on the pages of the
    repository itself.
    """
    folder = (DOCS / docname).parent

    def replaced(match):
        target = (folder / match[1]).resolve()
        if target.is_relative_to(DOCS) or not target.is_relative_to(ROOT):
            return match[0]
        if not target.exists():
            raise FileNotFoundError(f"{docname}: there is no {match[1]}")
        kind = "tree" if target.is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{target.relative_to(ROOT)}{match[2] or ''})"

    source[0] = _LINK.sub(replaced, source[0])


# ---- Languages -----------------------------------------------------------------------------------


def _set_language(app, pagename, templatename, context, doctree):
    """Name the language of the Japanese pages in their HTML, by which browsers choose fonts."""
    if pagename.startswith("ja/"):
        context["language"] = "ja"


# ---- Descriptions --------------------------------------------------------------------------------


def _describe_page(app, pagename, templatename, context, doctree):
    """Describe a page by its first paragraph, which search engines show."""
    if doctree is None:
        return
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.Admonition) and len(text) > 20:
            short = textwrap.shorten(text, 160, placeholder=" …")
            context["metatags"] += f'<meta name="description" content="{html.escape(short)}">\n'
            return


def _describe_figures(app, doctree):
    """Say what the figures of the gallery show, and let wide ones scroll.

    The gallery has given them the titles of their parts, or their file's name if there are none.
    Then the text above the code tells what is drawn.
    """
    if not app.env.docname.startswith("gallery/"):
        return
    name = app.env.docname.removeprefix("gallery/").replace("_", " ")
    text = ""
    for node in list(doctree.findall()):
        if isinstance(node, nodes.paragraph):
            text = " ".join(node.astext().split())
        elif isinstance(node, imgsgnode):
            titles = dict.fromkeys(part.strip() for part in node["alt"].split(", "))
            alt = ", ".join(title for title in titles if not title.isdigit())
            node["alt"] = html.escape(text if alt in {"", name} else alt)
            box = nodes.container(classes=["cnn-figure"])
            node.replace_self(box)
            box += node


def setup(app):
    """Connect what this file adds to Sphinx."""
    app.connect("source-read", _link_to_repository)
    app.connect("html-page-context", _set_language)
    app.connect("html-page-context", _describe_page)
    app.connect("doctree-read", _describe_figures)
