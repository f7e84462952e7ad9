"""The code and the commands of the pages run, on a cohort of phantoms in files.

What a page shows below a block is what the block prints. `WRITE_PAGES=1 pytest tests/test_pages.py`
writes the outputs anew, of the defaults instead of the short settings here, without repeats of the
folds.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from dicom_for_tests import circle, write_contours, write_pet

import nonredundant as nr
from nonredundant.cli import app
from nonredundant.datasets import make_lesions, make_survival_times
from nonredundant.patients import LesionGraphClassifier

ROOT = Path(nr.__file__).parent.parent
GUIDE = [page for page in sorted((ROOT / "docs" / "guide").glob("*.md")) if page.stem != "index"]
#: Pages whose Python is run; `get_started` takes minutes on real images, `scaling` has clusters.
PAGES = [ROOT / "README.md", *GUIDE, ROOT / "docs" / "faq.md"]
WITH_COMMANDS = [*PAGES, ROOT / "docs" / "get_started.md"]
#: A block of Python, and the output below it.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.S | re.M)
#: What the short settings below change.
SHORTENED = re.compile(r"compare_feature_sets|NonRedundantCVAE|LesionGraphClassifier")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
#: Instead of comparing with the outputs, write them.
WRITE = bool(os.environ.get("WRITE_PAGES"))
#: Pages that compare feature sets or start worker processes take more than a few seconds.
SLOW = {
    "README",
    "clinical",
    "centres",
    "embeddings",
    "imbalance",
    "small_cohorts",
    "large_cohorts",
    "selection",
}
#: Instead of the defaults of a comparison.
QUICK = {
    "cv": 2,
    "n_repeats": 1,
    "audit": ("dcor",),
    "baselines": False,
    "classifiers": ("LR",),
    "feature_sets": ("HCR", "HCR+DLR-MI"),
}

#: The patients of the pages come from three centres, whose images differ a little.
PHANTOMS = {
    "visible_effect": 3.0,
    "hidden_effect": 1.5,
    "clinical_effect": 1.0,
    "spacing": 3.0,
    "n_centres": 3,
    "centre_effect": 0.5,
}
RADIOMICS = (
    *("shape_MeshVolume", "shape_SurfaceArea", "shape_Maximum3DDiameter"),
    *("firstorder_Mean", "firstorder_Median", "firstorder_Maximum"),
    *("glcm_Contrast", "glcm_Correlation", "glcm_JointEntropy"),
    *("glrlm_RunEntropy", "gldm_DependenceVariance", "ngtdm_Coarseness"),
)

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the package is installed without its documents"
)


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def write_cases(
    folder: Path, name: str, cases: pd.DataFrame, y: np.ndarray, truth: pd.DataFrame
) -> None:
    """Write phantoms as NIfTI files, and their table with an outcome of each kind."""
    times = make_survival_times(truth, random_state=0)
    table = pd.DataFrame(index=pd.Index(cases.index, name="patient_id"))
    for role in ("image", "mask"):
        table[role] = [f"{name}_{case}_{role}.nii" for case in cases.index]
        for array, spacing, path in zip(cases[role], cases["spacing"], table[role], strict=True):
            volume = sitk.GetImageFromArray(array)
            volume.SetSpacing(spacing)
            sitk.WriteImage(volume, folder / path)
    table["relapse"] = table["lung_metastasis"] = y
    table["age"] = cases["age"].round()
    table["sex"] = np.random.default_rng(0).choice(["f", "m"], len(cases))
    table["centre"] = cases["centre"].map({"centre0": "A", "centre1": "B", "centre2": "C"})
    table["months"] = times["time"].round(1) + 0.1
    table["event"] = times["event"].astype(int)
    table.to_csv(folder / f"{name}.csv")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Write the files that the pages name."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, n_lesions in (("cases", 1), ("many", (1, 3))):
        cases, y, truth = make_lesions(48, n_lesions=n_lesions, random_state=0, **PHANTOMS)
        write_cases(folder, name, cases, y, truth)
        if name == "cases":
            write_embedding(folder / "embedding.csv", truth)
    others, _y, truth = make_lesions(24, random_state=1, **PHANTOMS)
    others = others.set_axis([f"other {i}" for i in range(24)], axis=0)
    write_cases(folder, "unlabelled", others, np.full(24, np.nan), truth)
    values = np.random.default_rng(0).gamma(9, 500, (8, 20, 20))
    (folder / "anna" / "PET").mkdir(parents=True)
    write_pet(folder / "anna" / "PET" / "image", values)
    contours = [circle((40.0, 40.0), 18.0, 3.0 * z) for z in range(2, 6)]
    (folder / "anna" / "PET" / "mask").mkdir()
    write_contours(folder / "anna" / "PET" / "mask" / "RS.dcm", [("GTV", contours)])
    row = "anna,anna/PET/image,anna/PET/mask/RS.dcm"
    (folder / "dicom.csv").write_text(f"patient_id,image,mask\n{row}\n", encoding="utf-8")
    (folder / "model.skops").touch()
    write_features(folder)
    return folder


def write_embedding(path: Path, truth: pd.DataFrame) -> None:
    """Write an embedding of phantoms that knows their uptake, their size and the hidden factor."""
    rng = np.random.default_rng(0)
    known = truth[["visible", "radius", "hidden"]].rename_axis("patient_id")
    values = known.to_numpy() @ rng.normal(size=(3, 64)) + rng.normal(size=(len(truth), 64))
    pd.DataFrame(values, index=known.index).to_csv(path)


def write_features(folder: Path) -> None:
    """Write radiomics with an outcome, and an embedding of the same patients in another order.

    The radiomics measure four factors, three columns each. The embedding repeats these and knows
    one more, which they do not see.
    """
    rng, n = np.random.default_rng(0), 120
    ids = pd.Index([f"p{i:03d}" for i in range(n)], name="patient_id")
    seen, unseen = rng.normal(size=(n, 4)), rng.normal(size=(n, 1))
    y = seen[:, 0] + unseen[:, 0] + rng.logistic(scale=0.5, size=n) > 0
    rows = np.repeat(seen, 3, axis=1) + 0.5 * rng.normal(size=(n, 12))
    names = [f"original_{name}" for name in RADIOMICS]
    pd.DataFrame(rows, ids, names).assign(relapse=y.astype(int)).to_csv(folder / "radiomics.csv")
    deep = np.hstack([seen, unseen]) @ rng.normal(size=(5, 64)) + rng.normal(size=(n, 64))
    pd.DataFrame(deep, ids).sample(frac=1, random_state=0).to_csv(folder / "fmcib.csv")


@pytest.fixture
def quick(monkeypatch):
    """Train for two epochs and compare in two folds."""
    for name, value in QUICK.items():
        monkeypatch.setitem(nr.compare_feature_sets.__kwdefaults__, name, value)
    for estimator in (nr.NonRedundantCVAE, LesionGraphClassifier):
        monkeypatch.setitem(estimator.__init__.__kwdefaults__, "max_epochs", 2)


def run(page: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Run the Python of a page in one namespace; yield each block with what it prints."""
    names: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(BLOCK.finditer(page.read_text("utf-8")), start=1):
        printed = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
            # A cohort of 24 is small, and two epochs are few: the warnings say so.
            warnings.simplefilter("ignore", UserWarning)
            exec(compile(block[1], f"{page.name}, block {number}", "exec"), names)
        yield block, printed.getvalue()


def check_outputs(page: Path, *, exact: bool = False) -> None:
    """Run a page and compare its outputs, or write them."""
    short, found = False, []
    for block, printed in run(page):
        # What is computed from here on has other numbers under the short settings.
        short = short or (not exact and bool(SHORTENED.search(block[1])))
        found.append((block, printed))
        if block[2] and not WRITE:
            assert alike(block[2], printed, numbers=not short), f"{block[2]}\n is now\n{printed}"
    if WRITE:
        write_outputs(page, found)


def alike(shown: str, printed: str, *, numbers: bool) -> bool:
    """Compare outputs but for spaces and last digits; without numbers, only their outlines."""
    if not numbers:
        return outline(shown) == outline(printed)
    words = [NUMBER.sub("#", text).split() for text in (shown, printed)]
    values = [[float(x) for x in NUMBER.findall(text)] for text in (shown, printed)]
    return words[0] == words[1] and values[0] == pytest.approx(values[1], rel=0.02, abs=0.02)


def outline(text: str) -> list[str]:
    """Return the head of a table or the form of an array; sentences have none."""
    text = text.strip()
    return [] if text.endswith(".") else NUMBER.sub("#", text.splitlines()[0]).split()


def write_outputs(page: Path, found: list[tuple[re.Match[str], str]]) -> None:
    """Write outputs below their blocks, long sentences in several lines."""
    text = page.read_text("utf-8")
    for block, printed in reversed(found):
        lines = [
            textwrap.fill(line, 88, break_on_hyphens=False) if line.endswith(".") else line.rstrip()
            for line in printed.strip("\n").splitlines()
        ]
        output = "\n```text\n" + "\n".join(lines) + "\n```\n" if printed else ""
        shown = f"```python\n{block[1]}```\n{output}"
        text = text[: block.start()] + shown + text[block.end() :]
    page.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.stem in SLOW else (), id=page.stem)
        for page in PAGES
    ],
)
def test_python_of_a_page_runs_and_prints_what_it_shows(page, cohort, request, monkeypatch, capsys):
    monkeypatch.chdir(cohort)
    if WRITE:
        monkeypatch.setitem(nr.compare_feature_sets.__kwdefaults__, "n_repeats", 1)
    else:
        request.getfixturevalue("quick")
    if page.stem in ("embeddings", "numbers") and not WRITE:
        # The default sets are those of the embeddings.
        monkeypatch.setitem(nr.compare_feature_sets.__kwdefaults__, "feature_sets", None)
    if page.stem == "README":
        # Its files are the reader's: it shows no outputs.
        for _ in run(page):
            continue
    else:
        check_outputs(page)


@pytest.mark.slow
def test_get_started_runs(tmp_path, monkeypatch, capsys):
    try:
        nr.datasets.fetch_sts(download_if_missing=False)
    except OSError:
        pytest.skip("the cohort is not here")
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "get_started.md"
    check_outputs(page, exact=True)
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_a_page_of_the_guide_shows_what_its_code_prints_and_a_picture(page):
    text = page.read_text("utf-8")
    without = [block[1] for block in BLOCK.finditer(text) if not block[2]]
    assert not without, f"{page.name} has code without an output:\n{without}"
    assert re.search(r"^!\[[^]]+\]\(\.\./images/", text, re.M), f"{page.name} has no picture"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_commands_of_a_page_have_these_options(page, cohort, monkeypatch):
    from typer.main import get_command

    monkeypatch.chdir(cohort)
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    for line in lines:
        if not line.startswith("nonredundant "):
            continue
        name, *arguments = shlex.split(line)[1:]
        command = get_command(app).commands[name]
        command.make_context(name, arguments)
