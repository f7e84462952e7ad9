"""Import skorch fast."""

from __future__ import annotations

import sys
import types
from importlib.util import find_spec


def import_skorch() -> None:
    """Import skorch without the import of torch_geometric.

    Skorch imports it only to see whether it is installed, which takes longer than torch itself, in
    every process that trains. A stand-in answers that; skorch imports the package itself where
    it uses it.
    """
    name = "torch_geometric"
    known = "skorch" in sys.modules or name in sys.modules
    if known or find_spec(name) is None:
        return
    sys.modules[name] = types.ModuleType(name)
    try:
        import skorch  # noqa: F401
    finally:
        del sys.modules[name]
