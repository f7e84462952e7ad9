"""The layers hold: packages import from floors below their own, and no import runs in a circle.

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
    ("models", "encoders"),
    ("displays",),
    ("report", "inspection"),
    ("classifiers",),
    ("folds",),
    ("results",),
    ("evaluation",),
    ("cli",),
)
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
#: Modules beside the packages: public paths of a few lines. Nothing in a package imports them.
PUBLIC_PATHS = {"cvae", "contrastive", "patches", "radiomics", "stability"}
#: Imported when a public name is first used, by name: what `nonredundant.X` stands for.
LAZY = {"__init__", "utils.optional"}


def module_name(path: Path) -> str:
    """Return a file's module, relative to the package; a package's `__init__` is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def package_of(module: str) -> str:
    """Return the package that a module belongs to."""
    return module.split(".")[0]


def nodes_of(module: str) -> list[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def imports_by_name(node: ast.AST) -> bool:
    """Return whether a node imports by a name in a string, which no reader of imports sees."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "importlib" and "import_module" in {a.name for a in node.names}
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    if "import_module" in called or called == "__import__":
        return True
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
    return called.endswith("import_optional") and str(first).startswith("nonredundant")


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Return this project's modules that a module imports, wherever in its file."""
    return frozenset(modules_in(MODULES[module].read_text(encoding="utf-8"), module))


def modules_in(source: str, module: str) -> set[str]:
    """Return this project's modules that a source text imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import: write the whole path"
            names += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [(alias.name, "") for alias in node.names]
        if module not in LAZY:
            assert not imports_by_name(node), f"{module} imports by name: {ast.unparse(node)}"
    found = set()
    for path, name in names:
        if path.split(".")[0] != "nonredundant":
            continue
        base = path.removeprefix("nonredundant").removeprefix(".")
        full = f"{base}.{name}".strip(".")
        inner = full if full in MODULES else base
        # The root hands every public name on: whoever imports from it hides what is imported.
        assert inner or module == "__init__", f"{module} imports from the root of the package"
        found.add(inner)
    return found - {""}


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


def test_every_module_is_in_a_package():
    known = set(FLOOR) | PUBLIC_PATHS | {"__init__", "_version"}
    assert {package_of(module) for module in MODULES} == known


@pytest.mark.parametrize("module", sorted(m for m in MODULES if package_of(m) in FLOOR))
def test_packages_import_from_floors_below(module):
    own = package_of(module)
    for name in imported(module):
        other = package_of(name)
        if other not in (own, "_version"):
            assert other in FLOOR, f"{module} imports {name}, which is in no package"
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


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a -> b -> c -> a"]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize(
    "source",
    [
        "import nonredundant.models.cvae as c",
        "from nonredundant.models import cvae",
        "def f():\n    from nonredundant.models.cvae import NonRedundantCVAE",
        "if TYPE_CHECKING:\n    from nonredundant.models.cvae import NonRedundantCVAE",
    ],
)
def test_an_import_is_found_wherever_it_is(source):
    assert modules_in(source, "lesions.table") == {"models.cvae"}


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module('nonredundant.models')",
        "from importlib import import_module as im",
        "__import__('nonredundant.models')",
        "import_optional('nonredundant.models.cvae', extra='graph', purpose='x')",
        "from nonredundant import NonRedundantCVAE",
        "import nonredundant as nr",
        "from . import table",
    ],
)
def test_hidden_imports_are_refused(source):
    with pytest.raises(AssertionError):
        modules_in(source, "lesions.table")


def hidden_names(source: str, package: str) -> list[str]:
    """Return private modules and names of other packages that a source text uses."""
    found, aliases = [], set()
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        paths: list[list[str]] = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nonredundant"):
            paths = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            paths = [a.name.split(".") for a in node.names if a.name.startswith("nonredundant.")]
        for path, alias in zip(paths, getattr(node, "names", ()), strict=False):
            if path[1] in (package, "_version"):
                continue
            aliases.add(alias.asname or alias.name)
            found += [name for name in path if name.startswith("_")]
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            found += [f"{node.value.id}.{node.attr}"] * (private and node.value.id in aliases)
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_private_modules_and_names_stay_in_their_package(module):
    source = MODULES[module].read_text(encoding="utf-8")
    assert hidden_names(source, package_of(module)) == []


def test_private_names_of_other_packages_are_found():
    for source in (
        "from nonredundant.lesions._checks import check_sample",
        "from nonredundant.lesions.table import _PARTS",
        "import nonredundant.lesions._checks as c",
        "from nonredundant.lesions import table\ntable._PARTS",
    ):
        assert hidden_names(source, "models")
        assert not hidden_names(source, "lesions")


def top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements that run when a module is imported."""
    found = []
    for node in body:
        found.append(node)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        for name in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                found += top_level(getattr(node, name, []))
    return found


#: Made of subclasses of heavy libraries, and imported by functions.
SUBCLASSES = {m for m in MODULES if package_of(m) == "nn"} | {
    "extraction.shape",
}


@pytest.mark.parametrize("module", sorted(set(MODULES) - SUBCLASSES))
def test_heavy_libraries_are_imported_when_used(module):
    heavy = {"torch", "skorch", "SimpleITK", "radiomics", "torch_geometric", "matplotlib"}
    for node in top_level(ast.parse(MODULES[module].read_text(encoding="utf-8")).body):
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
