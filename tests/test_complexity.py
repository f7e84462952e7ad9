"""No function has too many branches, those inside comprehensions and conditions included.

The check of ruff leaves out comprehensions, boolean operators and conditional expressions, in which
a function of one statement can hold thirty cases.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nonredundant

ROOT = Path(nonredundant.__file__).parent

#: Largest cyclomatic complexity (McCabe 1976, doi 10.1109/TSE.1976.233837) of a function.
BOUND = 15
BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.match_case,
)


def complexity(function: ast.AST) -> int:
    """Return 1 plus the number of branches, those of functions and lambdas inside included."""
    branches = 1
    for node in ast.walk(function):
        if isinstance(node, ast.comprehension):
            branches += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            branches += len(node.values) - 1
        else:
            branches += isinstance(node, BRANCHES)
    return branches


def functions(source: str) -> dict[str, int]:
    """Return the complexity of each function and method by its name within the file."""
    found = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    found[name] = complexity(child)
                name += "."
            visit(child, name)

    visit(ast.parse(source), "")
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x):\n    return x", 1),
        ("def f(x):\n    if x:\n        return 1\n    return 2", 2),
        ("def f(x):\n    return 1 if x else 2", 2),
        ("def f(x, y, z):\n    return x and y and z", 3),
        ("def f(x):\n    return [i for row in x if row for i in row if i if i > 1]", 6),
        ("def f(x):\n    try:\n        return x()\n    except ValueError:\n        return 0", 2),
        ("def f(x):\n    match x:\n        case 1:\n            return 1\n    return 2", 2),
        ("def f(x):\n    return sorted(x, key=lambda i: i or 0)", 2),
    ],
)
def test_branches_are_counted_wherever_they_stand(source, expected):
    assert functions(source) == {"f": expected}


def test_methods_and_inner_functions_are_counted_too():
    source = (
        "class A:\n    def f(self):\n        def g(x):\n            return x or 1\n        return g"
    )
    assert functions(source) == {"A.f": 2, "A.f.g": 2}


def test_no_function_has_more_branches_than_the_bound():
    above = {}
    for path in sorted(ROOT.rglob("*.py")):
        for name, branches in functions(path.read_text(encoding="utf-8")).items():
            if branches > BOUND:
                above.setdefault(path.relative_to(ROOT).as_posix(), {})[name] = branches
    assert above == {}, f"functions of more than {BOUND} branches: divide them"
