"""What the documents name exists: links resolve, code parses, modules and parameters are there."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import nonredundant as nr

ROOT = Path(nr.__file__).parent.parent
#: Made by Sphinx, beside the pages.
MADE = {"_build", "gallery", "generated"}
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if not MADE.intersection(page.relative_to(ROOT / "docs").parts)
    ),
]

#: Modules whose `__all__` is public.
MODULES = (
    "contrastive",
    "cvae",
    "datasets",
    "displays",
    "evaluation",
    "extraction",
    "folds",
    "independence",
    "inspection",
    "io",
    "lesions",
    "metrics",
    "models",
    "patches",
    "patients",
    "radiomics",
    "report",
    "statistics",
)

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the package is installed without its documents"
)


def each_page(function):
    """Run a test for each document."""
    ids = [page.relative_to(ROOT).as_posix() for page in PAGES]
    return pytest.mark.parametrize("page", PAGES, ids=ids)(function)


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
    text = page.read_text(encoding="utf-8")
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
    text = page.read_text(encoding="utf-8")
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


def public_names() -> list[str]:
    """Return the path of each public object below the package, as the API page writes it."""
    names = []
    for module in MODULES:
        found = importlib.import_module(f"nonredundant.{module}")
        names += [f"{module}.{name}" for name in found.__all__]
    return names


def test_api_page_lists_each_public_object_once():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^   (\w+\.\w+)$", page, flags=re.M)
    assert len(listed) == len(set(listed))
    found = {id(_object(name)) for name in listed}
    missing = [name for name in public_names() if id(_object(name)) not in found]
    assert not missing


def _object(name: str) -> object:
    """Return a public object by its path below the package."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"nonredundant.{module}"), attribute)


def test_each_public_object_has_an_example_that_runs():
    parser = doctest.DocTestParser()
    documented = [name for name in public_names() if callable(_object(name))]
    # Fetchers need files or the network: what they show is not run here.
    skipped = {
        f"datasets.fetch_{name}" for name in ("adrenal", "hosny", "lung1", "pneumonia", "sts")
    }
    without = []
    for name in documented:
        text = inspect.getdoc(_object(name)) or ""
        examples = parser.get_examples(text)
        run = [example for example in examples if not example.options.get(doctest.SKIP)]
        if "Examples\n--------" not in text or (not run and name not in skipped):
            without.append(name)
    assert not without
    assert len(documented) > 75


def test_gallery_lists_each_example_and_each_has_a_question_and_a_figure():
    examples = sorted((ROOT / "examples").glob("*.py"))
    order = ast.parse((ROOT / "docs" / "gallery_order.py").read_text("utf-8"))
    listed = next(node.value for node in order.body if isinstance(node, ast.Assign))
    assert sorted(ast.literal_eval(listed)) == [path.stem for path in examples]
    for path in examples:
        text = path.read_text("utf-8")
        title, line = (ast.get_docstring(ast.parse(text)) or "").splitlines()[:2]
        assert title.endswith("?"), path.name
        assert line == "=" * len(title), path.name
        assert "\n# %%\n" in text, path.name
        assert "plt.show()" in text, path.name


def test_each_claim_stands_in_the_section_of_its_script_with_its_date():
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    table, _, _ = text.partition("<!--")
    claims = re.findall(r"^\| (.+?) \| (.+?) \| (\d{4}-\d\d-\d\d) \| `(.+?)` \|$", table, re.M)
    assert len(claims) > 8
    assert table.count("\n|") == len(claims) + 2
    for claim, figure, date, script in claims:
        assert (ROOT / "benchmarks" / script.partition(" ")[0]).exists(), claim
        section = text.partition(f"<!-- {script} -->")[2].partition("<!-- end of")[0]
        first = section.strip().splitlines()[2]
        assert date in first, claim
        assert figure in section, claim


@each_page
def test_pictures_are_described(page):
    for described, path in re.findall(r"!\[(.*?)\]\(([^)]+)\)", page.read_text("utf-8"), re.S):
        # More than a name: what is to be seen.
        assert len(described.split()) >= 3, f"{page.name}: {path}"


@each_page
def test_words_are_spelled_as_in_british_english(page):
    american = r"\b(?:color|center|behavior|normaliz|standardiz|randomiz|regulariz|tumor)\w*"
    text = re.sub(r"```.*?```|`[^`]*`|https?://\S+", "", page.read_text("utf-8"), flags=re.S)
    assert not re.findall(american, text)
