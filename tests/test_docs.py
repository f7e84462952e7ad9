"""What the documents name exists: links resolve, code parses, modules and parameters are there."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import nonredundant as nr

ROOT = Path(nr.__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the package is installed without its documents"
)


def each_page(function):
    """Run a test for each document."""
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)(function)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


@each_page
def test_links_resolve(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


@each_page
def test_python_blocks_parse(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        ast.parse(block)


@each_page
def test_modules_and_names_import(page):
    # Changes name the places where things once were.
    text = page.read_text(encoding="utf-8").partition("### Changed names")[0]
    for path in sorted(set(re.findall(r"\bnonredundant(?:\.[A-Za-z_]\w*)+", text))):
        parts = path.split(".")
        module, depth = nr, 1
        while depth < len(parts):
            try:
                module = importlib.import_module(".".join(parts[: depth + 1]))
            except ModuleNotFoundError:
                break
            depth += 1
        value = module
        for name in parts[depth:]:
            assert hasattr(value, name), f"{page.name} names {path}"
            value = getattr(value, name)


@each_page
def test_files_named_in_the_text_exist(page):
    text = page.read_text(encoding="utf-8").partition("### Changed names")[0]
    for path in sorted(set(re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|md|toml))`", text))):
        places = [ROOT, ROOT / "nonredundant", page.parent]
        assert any((place / path).exists() for place in places), f"{page.name} names {path}"


def test_readme_names_public_things():
    table = re.findall(r"^\| ((?:`[^|]+`,? ?)+) \|", (ROOT / "README.md").read_text("utf-8"), re.M)
    names = [name for cell in table for name in re.findall(r"`([\w.]+)`", cell)]
    assert len(names) > 10
    spaces = [nr, nr.contrastive, nr.patients]
    for name in names:
        parts = name.split(".")
        found = nr
        if not hasattr(nr, parts[0]):
            found = next((space for space in spaces if hasattr(space, parts[0])), None)
            assert found is not None, name
        for part in parts:
            assert hasattr(found, part), name
            found = getattr(found, part)
