"""Tables of lung cancer: what the copies hold, and that other files are refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from nonredundant.datasets import fetch_hosny, fetch_lung1


@pytest.fixture
def home():
    """Return the folder of the data."""
    folder = os.environ.get("NONREDUNDANT_DATA")
    if not folder:
        pytest.skip("NONREDUNDANT_DATA is not set")
    return Path(folder)


@pytest.mark.parametrize(
    ("cohort", "n"), [("HarvardRT", 293), ("Maastro", 211), ("M-SPORE", 97)], ids=str
)
def test_hosny(home, cohort, n):
    found = fetch_hosny(cohort)
    assert found.data.index.is_unique
    assert not found.data.index.hasnans
    assert len(found.data) == len(found.target) == len(found.cnn) == n
    assert found.data.shape[1] > 900
    assert not {"surv2yr", "cnn_alive_2y"} & set(found.data)
    assert set(found.target) == {0, 1}
    assert cohort in found.DESCR


def test_lung1_has_one_index(home):
    found = fetch_lung1()
    assert len(found.data) == 206
    parts = [found.target, found.times, found.clinical, found.cnn, *found.embeddings.values()]
    assert all(part.index.equals(found.data.index) for part in parts)
    assert [frame.shape[1] for frame in found.embeddings.values()] == [4096, 4096]
    # Survival and label are of two publications.
    assert ((found.times["time"] >= 730) == (found.target == 1)).mean() > 0.98
    assert "survival" not in " ".join(found.clinical).lower()
    data, target = fetch_lung1(return_X_y=True)
    assert data.equals(found.data)
    assert target.equals(found.target)


def test_other_files_are_refused(home, tmp_path):
    (tmp_path / "nsclc").mkdir()
    name = "hosny_M-SPORE.csv.gz"
    shutil.copyfile(home / "nsclc" / name, tmp_path / "nsclc" / name)
    assert len(fetch_hosny("M-SPORE", data_home=tmp_path).data) == 97
    with (tmp_path / "nsclc" / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="SHA-256"):
        fetch_hosny("M-SPORE", data_home=tmp_path)
    with pytest.raises(OSError, match="no copy nsclc/hosny_Maastro"):
        fetch_lung1(data_home=tmp_path)


def test_unknown_cohorts_are_named():
    with pytest.raises(ValueError, match="HarvardRT"):
        fetch_hosny("Boston")
