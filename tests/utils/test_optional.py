"""Missing dependencies: the error says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nonredundant.utils.optional import import_optional, import_radiomics

#: Runs without pyradiomics, as after an installation that could not compile it.
WITHOUT = """
import sys
sys.modules["radiomics"] = None
from nonredundant import LesionTable, RadiomicsExtractor
import pandas as pd, numpy as np
LesionTable(pd.DataFrame({"volume": [1.0]}))
mask = np.pad(np.ones((3, 3, 3), dtype=bool), 2)
RadiomicsExtractor().fit(pd.DataFrame({"image": [mask * 1.0], "mask": [mask]}))
"""


def test_without_pyradiomics_all_but_extraction_works_and_the_error_says_how_to_compile_it():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    last = run.stderr.strip().splitlines()[-2:]
    assert last[0].startswith("ImportError: hand-crafted features need pyradiomics")
    assert "C compiler" in last[0]
    assert "pip install --force-reinstall" in last[1]


def test_a_module_without_its_compiled_part_is_told_alike(monkeypatch):
    monkeypatch.setitem(sys.modules, "radiomics._cshape", None)
    monkeypatch.delitem(sys.modules, "radiomics.shape", raising=False)
    with pytest.raises(ImportError, match="_cshape.*C compiler"):
        import_radiomics("radiomics._cshape")


def test_a_missing_extra_is_named():
    absent = "no_such"
    with pytest.raises(ImportError, match=r'this needs .no_such.*"nonredundant\[graph\]"'):
        import_optional(absent, extra="graph", purpose="this")
