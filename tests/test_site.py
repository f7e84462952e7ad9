"""The site builds without warnings, and each link inside it leads somewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import nonredundant as nr

pytest.importorskip("sphinx")
pytest.importorskip("sphinx_gallery")

ROOT = Path(nr.__file__).parent.parent
MADE = ("_build", "gallery", "generated", "sg_execution_times.rst")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "docs").is_dir(), reason="the package is installed without its documents"
    ),
]


class Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.anchors |= {own[name] for name in ("id", "name") if own.get(name)}
        self.links += [own[name] for name in ("href", "src") if own.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Build the pages, without running the examples, from a copy of their sources."""
    folder = tmp_path_factory.mktemp("site")
    ignored = shutil.ignore_patterns(*MADE)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=ignored)
    for name in ("examples", "nonredundant"):
        shutil.copytree(ROOT / name, folder / name)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, folder)
    options = ["-W", "--keep-going", "-b", "html", "-D", "plot_gallery=0", "-q"]
    command = [sys.executable, "-m", "sphinx", *options, "docs", "html"]
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_links_inside_the_site_lead_somewhere(site):
    own = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path: Page(path) for path in own}
    assert len(pages) > 100
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].anchors:
                    broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


def test_each_public_object_has_a_page(site):
    names = {path.stem for path in (site / "generated").glob("*.html")}
    assert "nonredundant.extraction.RadiomicsExtractor" in names
    assert len(names) > 75
