"""What untrusted files cannot do: run code, reach other files, take up all memory."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nonredundant

PACKAGE = Path(nonredundant.__file__).parent
#: Calls that run what a file or a text holds, by module and name.
RUNS_CODE = {
    "pickle": {"load", "loads", "Unpickler"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "joblib": {"load"},
    "yaml": {"load", "load_all", "full_load", "unsafe_load"},
    "os": {"system", "popen", "execv", "execl", "spawnl", "spawnv"},
    "subprocess": {"run", "call", "Popen", "check_call", "check_output", "getoutput"},
    "builtins": {"eval", "exec", "compile", "__import__"},
}


def _imported(tree):
    """Return the modules and the names of modules that a file imports, by their local name."""
    found = {name: ("builtins", name) for name in RUNS_CODE["builtins"]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name).split(".")[0]: (a.name, None) for a in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {a.asname or a.name: (node.module, a.name) for a in node.names}
    return found


def _called(call, imported):
    """Return module and name of what is called, as far as imports tell."""
    if isinstance(call.func, ast.Name):
        return imported.get(call.func.id, ("", None))
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        return imported.get(call.func.value.id, ("", None))[0], call.func.attr
    return "", None


def dangers(text):
    """List the calls of a source text that can run what a file holds."""
    tree = ast.parse(text)
    imported = _imported(tree)
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        module, name = _called(call, imported)
        given = {one.arg: getattr(one.value, "value", None) for one in call.keywords}
        if name in RUNS_CODE.get(module, ()):
            found.append(f"{call.lineno}: {module}.{name}")
        if (module, name) == ("torch", "load") and given.get("weights_only") is not True:
            found.append(f"{call.lineno}: torch.load without weights_only=True")
        if given.get("allow_pickle") or given.get("shell"):
            found.append(f"{call.lineno}: allow_pickle or shell")
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads as read\nread(b)",
        "eval('1')",
        "import yaml\nyaml.load(f)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import os\nos.system('ls')",
        "import subprocess as sp\nsp.run('ls', shell=True)",
    ],
)
def test_the_search_finds_what_it_should(text):
    assert dangers(text)


def test_no_module_runs_what_a_file_holds():
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := dangers(path.read_text(encoding="utf-8")))
    }
    assert found == {}
