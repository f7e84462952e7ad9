"""The architecture holds: imports point down, torch stays under nn/, files stay small."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

import nonredundant

ROOT = Path(nonredundant.__file__).parent

#: Level of each public module; a private sibling `_name.py` is listed where it is not a helper
#: of exactly the level of the modules that import it.
LEVELS = {
    "_version": 0,
    "_optional": 0,
    "_validation": 0,
    "_lesion_checks": 0,
    "_lesion_files": 0,
    "lesions": 1,
    "nn.blocks": 1,
    "nn.losses": 1,
    "nn.penalties": 1,
    "io": 2,
    "radiomics": 2,
    "patches": 2,
    "statistics": 2,
    "nn.discriminator": 2,
    "nn.vae": 2,
    "nn.graph": 2,
    "nn.augment": 2,
    "nn.training": 2,
    "nn.contrastive": 3,
    "extraction": 3,
    "datasets": 3,
    "independence": 3,
    "cvae": 4,
    "contrastive": 4,
    "patients": 4,
    "metrics": 4,
    "inspection": 5,
    "evaluation": 5,
    "displays": 6,
    "report": 6,
    "cli": 7,
    "__init__": 8,
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
}


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Return this package's modules that a file imports, also inside functions."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nonredundant"):
            base = (node.module or "").removeprefix("nonredundant").removeprefix(".")
            names = [f"{base}.{alias.name}".strip(".") for alias in node.names]
            found |= {name if name in MODULES else base for name in names} - {""}
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("nonredundant.")]
            found |= {name.removeprefix("nonredundant.") for name in names}
    return frozenset(found)


def level(module: str, seen: tuple[str, ...] = ()) -> int:
    """Return a module's level; a private one lies as high as what it imports."""
    assert module not in seen, f"circular imports: {' -> '.join((*seen, module))}"
    if module in LEVELS:
        return LEVELS[module]
    below = [level(name, (*seen, module)) for name in imported(MODULES[module])]
    return max(below, default=0)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__", "nn.__init__"}))
def test_imports_point_down(module):
    own = level(module)
    for name in imported(MODULES[module]):
        other = level(name, (module,))
        private = "_" in (module.split(".")[-1][0], name.split(".")[-1][0])
        assert other < own or (private and other == own), (
            f"{module} (level {own}) imports {name} (level {other})"
        )


@pytest.mark.parametrize("module", sorted(m for m in MODULES if not m.startswith("nn.")))
def test_torch_is_imported_under_nn_alone(module):
    heavy = {"torch", "skorch", "SimpleITK", "radiomics", "torch_geometric", "matplotlib"}
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not heavy & {name.split(".")[0] for name in names}, module


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"_validation"}))
def test_private_parts_of_scikit_learn_are_imported_in_one_place(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            assert "._" not in node.module, f"{module} imports {node.module}"
            assert not [a.name for a in node.names if a.name.startswith("_")], module


def test_no_circular_imports():
    done = set()

    def visit(module, path):
        assert module not in path, f"circular imports: {' -> '.join((*path, module))}"
        if module not in done:
            for name in imported(MODULES[module]):
                visit(name, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
