"""The declared dependencies are those that the package imports, no more and no fewer."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import nonredundant

PACKAGE = Path(nonredundant.__file__).parent
ROOT = PACKAGE.parent
#: Names of modules that differ from the names of their projects.
PROJECT = {
    "PIL": "pillow",
    "imblearn": "imbalanced-learn",
    "radiomics": "pyradiomics-cuda",
    "ruamel": "ruamel-yaml",
    "sklearn": "scikit-learn",
    "sksurv": "scikit-survival",
    "torch_geometric": "torch-geometric",
}
#: For type checking alone: tables of it are recognised, and nobody else needs it.
TYPES_ONLY = {"polars"}
#: Programs that benchmarks compare with, each in an environment that the benchmark makes.
PEERS = {"fastrad", "flash-radiomics", "mirp", "nyxus", "pydantic", "pythae"}
#: Imported by another name: plugins, programs, stubs.
TOOLS = {"bandit", "codespell", "mypy", "pandas-stubs", "pytest-xdist", "ruff", "types-tqdm"}
#: Named as text: by docs/conf.py, by the kernel of a notebook, by torch.utils.tensorboard.
SITE = {
    "ipykernel",
    "jupytext",
    "latex2mathml",
    "myst-parser",
    "nbclient",
    "pydata-sphinx-theme",
    "sphinx",
    "sphinx-copybutton",
    "sphinx-design",
    "sphinx-gallery",
    "tensorboard",
}

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the package is installed without its sources"
)


def normalised(name: str) -> str:
    """Return the name of a project as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, set[str]]:
    """Return the projects that pyproject.toml declares, by extra; "" for the required ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: {normalised(re.split(r"[\[<>=!~;@ ]", line)[0]) for line in lines}
        for extra, lines in groups.items()
    }


def imported(*folders: Path) -> set[str]:
    """Return the projects that the files of some folders import, wherever in a file."""
    modules = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
            elif isinstance(node, ast.Call) and "import_optional" in ast.unparse(node.func):
                modules |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant)}
    tops = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names)
    # Scripts import their neighbours by name; modules of the package by their whole path.
    scripts = [folder for folder in folders if folder != PACKAGE]
    own = {"nonredundant", *(path.stem for folder in scripts for path in folder.glob("*.py"))}
    return {normalised(PROJECT.get(top, top)) for top in tops - own}


def test_required_packages_are_imported():
    unused = declared()[""] - imported(PACKAGE)
    assert not unused


def test_extras_are_imported():
    groups = declared()
    everything = imported(PACKAGE, ROOT / "tests") | TOOLS | SITE
    unused = {extra: groups[extra] - everything for extra in groups if groups[extra] - everything}
    assert not unused


def test_imported_packages_are_declared():
    groups = declared()
    known = {name for extra, names in groups.items() if extra != "dev" for name in names}
    assert not imported(PACKAGE) - known - TYPES_ONLY


def test_packages_of_the_tests_are_declared():
    known = {name for names in declared().values() for name in names}
    folders = [folder for name in ("tests", "benchmarks") if (folder := ROOT / name).is_dir()]
    assert not imported(*folders) - known - TYPES_ONLY - PEERS


def test_constraints_pin_what_is_declared():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normalised(line.split("==")[0]) for line in lines if line and line[0] != "#"}
    assert not {name for names in declared().values() for name in names} - pinned
