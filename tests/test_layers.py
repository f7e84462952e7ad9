"""The rooms hold: packages import from floors below their own, and no import runs in a circle.

Every import counts: at the top of a file, inside functions, for type checking only, and calls of
`importlib.import_module`.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

import nonredundant

ROOT = Path(nonredundant.__file__).parent

#: Packages by floor, the lowest first; a package imports only from floors below its own.
FLOORS = (
    ("utils", "io", "statistics", "metrics", "datasets"),
    ("lesions",),
    ("nn", "extraction"),
    ("independence", "patients"),
    ("models",),
    ("displays",),
    ("report", "inspection"),
    ("evaluation",),
    ("cli",),
)
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
#: Modules beside the packages: public paths of a few lines. Nothing in a package imports them.
PUBLIC_PATHS = {"cvae", "contrastive", "patches", "radiomics"}
#: Imported when a public name is first used, by name: what `nonredundant.X` stands for.
LAZY = {"__init__", "utils.optional"}


def module_name(path: Path) -> str:
    """Return a file's module, relative to the package; a package's `__init__` is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def package_of(module: str) -> str:
    """Return the room that a module belongs to."""
    return module.split(".")[0]


def nodes_of(module: str) -> list[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Return this project's modules that a module imports, wherever in its file."""
    names = []
    for node in nodes_of(module):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import: write the whole path"
            names += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            assert module in LAZY, f"{module} imports by name: {ast.unparse(node)}"
    found = set()
    for path, name in names:
        if path.split(".")[0] != "nonredundant":
            continue
        base = path.removeprefix("nonredundant").removeprefix(".")
        full = f"{base}.{name}".strip(".")
        found.add(full if full in MODULES else base)
    return frozenset(found - {""})


def circles(edges: dict[str, set[str]]) -> list[str]:
    """Return the circles of a graph of imports, one line each."""
    found: list[str] = []
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        if node in path:
            found.append(" -> ".join((*path[path.index(node) :], node)))
        elif node not in done:
            for other in sorted(edges.get(node, ())):
                visit(other, (*path, node))
            done.add(node)

    for node in edges:
        visit(node, ())
    return found


def test_every_module_is_in_a_room():
    known = set(FLOOR) | PUBLIC_PATHS | {"__init__", "_version"}
    assert {package_of(module) for module in MODULES} == known


@pytest.mark.parametrize("module", sorted(m for m in MODULES if package_of(m) in FLOOR))
def test_packages_import_from_floors_below(module):
    own = package_of(module)
    for name in imported(module):
        other = package_of(name)
        if other not in (own, "_version"):
            assert other in FLOOR, f"{module} imports {name}, which is in no room"
            assert FLOOR[other] < FLOOR[own], f"{module} imports upward: {name}"


def test_no_circle_between_modules():
    # A package's `__init__` is run before its modules, and it lists what the package offers.
    edges = {module: set(imported(module)) for module in MODULES if module != "__init__"}
    assert circles(edges) == []


def test_no_circle_between_packages():
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        own = package_of(module)
        edges.setdefault(own, set())
        edges[own] |= {package_of(name) for name in imported(module)} - {own}
    assert circles(edges) == []


def test_circles_and_upward_imports_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a -> b -> c -> a"]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_private_modules_and_names_stay_in_their_package(module):
    for node in nodes_of(module):
        if not isinstance(node, ast.ImportFrom):
            continue
        path = (node.module or "").split(".")
        if path[0] != "nonredundant" or node.module == "nonredundant._version":
            continue
        inside = len(path) > 1 and path[1] == package_of(module)
        names = [*path[1:], *(alias.name for alias in node.names if not inside)]
        hidden = [n for n in names if n.startswith("_") and not n.startswith("__")]
        assert inside or not hidden, f"{module} imports {hidden} of another package"


@pytest.mark.parametrize("module", sorted(m for m in MODULES if package_of(m) != "nn"))
def test_heavy_libraries_are_imported_when_used(module):
    heavy = {"torch", "skorch", "SimpleITK", "radiomics", "torch_geometric", "matplotlib"}
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not heavy & {name.split(".")[0] for name in names}, module


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"utils.validation"}))
def test_private_parts_of_scikit_learn_are_imported_in_one_place(module):
    for node in nodes_of(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            assert "._" not in node.module, f"{module} imports {node.module}"
            assert not [a.name for a in node.names if a.name.startswith("_")], module
