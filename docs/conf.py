"""Configuration of the Sphinx site; `make docs` builds it.

`-D plot_gallery=0` leaves the examples out: the pages then build in a minute.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sklearn.base import BaseEstimator

import nonredundant

os.environ.setdefault("OMP_NUM_THREADS", "1")
mpl.use("Agg")
sys.path.insert(0, str(Path(__file__).parent))

project = "nonredundant"
author = "The nonredundant developers"
copyright = f"2026, {author}"
version = release = nonredundant.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "**.ipynb_checkpoints", "sg_execution_times.rst"]
templates_path = ["_templates"]
# Names in single backticks of docstrings are links where they are known, code otherwise.
default_role = "obj"

# Pages are Markdown that GitHub shows as well: dollar maths, anchors of headings as there.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "nonredundant"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Formulas are MathML inside of the pages: browsers draw it without a script from elsewhere.
html_math_renderer = "mathml"
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "text": "nonredundant",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "alt_text": "nonredundant, home",
    },
    # Its file lies in the site: releases are folders below the newest one.
    "switcher": {"json_url": "_static/switcher.json", "version_match": version},
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "navbar_align": "left",
    # A field instead of this icon would push the header into a second line at 1,200 pixels.
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
# Pages without pages below them need no list of these on the left.
html_sidebars = {
    page.stem: []
    for page in Path(__file__).parent.glob("*.md")
    if page.stem not in {"api", "index"}
}

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "download_all_examples": False,
    "matplotlib_animations": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib", "gallery_order.save_tight"),
    "show_memory": False,
    "show_signature": False,
}

linkcheck_anchors = False
linkcheck_timeout = 20
linkcheck_workers = 4

# Networks of the examples are trained for moments; the pages say so where it matters.
warnings.filterwarnings("ignore", message=".*latents are collapsed")
# A centre that is left out is left as it is: the page says so.
warnings.filterwarnings("ignore", message="Harmonise leaves samples")


def format_warning(message: Any, category: type[Warning], *place: Any) -> str:
    """Write a warning on a page of an example without the path of the script."""
    return f"{category.__name__}: {message}\n"


warnings.formatwarning = format_warning


def skip_inherited(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out methods that other packages document (`get_params`, metadata routing)."""
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or ""
    return True if module.partition(".")[0] in {"sklearn", "builtins"} else None


def link_gallery(app: Any, docname: str, source: list[str]) -> None:
    """Turn links to files of examples, which work on GitHub, into links to pages of the gallery."""
    pages = re.sub(r"\.\./examples/(\w+)\.py\)", r"gallery/\1)", source[0])
    source[0] = pages.replace("../examples)", "gallery/index)")


def link_diagrams() -> None:
    """Let diagrams of estimators on the pages of the gallery lead to their pages."""
    text = (Path(__file__).parent / "api.md").read_text(encoding="utf-8")
    for path in re.findall(r"^   (\w+\.\w+)$", text, flags=re.M):
        module, _, name = path.partition(".")
        found = getattr(importlib.import_module(f"nonredundant.{module}"), name)
        if isinstance(found, type) and issubclass(found, BaseEstimator):
            found._doc_link_module = "nonredundant"
            found._doc_link_template = f"../generated/nonredundant.{path}.html"


def write_math(display: str) -> Any:
    """Make a function that writes a formula as MathML."""

    def visit(self: Any, node: Any) -> None:
        tag = "span" if display == "inline" else "div"
        self.body.append(f'<{tag} class="math">{convert(node.astext(), display=display)}</{tag}>')
        raise SkipNode

    return visit


def wrap_figures(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    """Put each figure of an example into a box, in which wide ones scroll on a phone."""
    if pagename.startswith("gallery/"):
        figure = r'(<img [^>]*class = "sphx-glr-single-img"/>)'
        box = r'<div class="figure-of-example">\1</div>'
        context["body"] = re.sub(figure, box, context.get("body", ""))


def setup(app: Any) -> dict[str, bool]:
    """Connect the hooks above."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(write_math("inline"), None),
        block_renderers=(write_math("block"), None),
    )
    app.connect("autodoc-skip-member", skip_inherited)
    link_diagrams()
    app.connect("source-read", link_gallery)
    app.connect("html-page-context", wrap_figures)
    return {"parallel_read_safe": True}
