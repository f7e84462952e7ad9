"""The image and the conda recipe follow `pyproject.toml` and the command line."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

import nonredundant
from nonredundant.cli.commands import app

ROOT = Path(nonredundant.__file__).parents[1]
#: Names in conda-forge that differ from those of the Python index.
CONDA = {
    "SimpleITK": "simpleitk",
    "matplotlib": "matplotlib-base",
    "ray": "ray-core",
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
}
#: Extras for people who work on the package.
FOR_DEVELOPERS = {"dev", "docs"}
#: Extras that options of the command line ask for.
OF_THE_COMMANDS = {"dicom", "graph", "store", "survival"}

pytestmark = pytest.mark.skipif(
    not (ROOT / "Containerfile").exists(), reason="the package is installed without its sources"
)


def instructions():
    """Return the instructions of the Containerfile, each on one line."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def conda(lines):
    """Return the bounds of requirements by their names in conda-forge."""
    pairs = dict(one.split(">=") for one in lines)
    return {CONDA.get(name, name): bound for name, bound in pairs.items()}


def test_the_recipe_requires_what_pyproject_requires():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, needed = settings["project"], settings["build-system"]["requires"]
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^  (host|run|run_constrained):\n", recipe, flags=re.M)
    found = {
        name: dict(re.findall(r"^    - (\S+) >=(\S+)$", text.split("\n\n")[0], re.M))
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    python = {"python": project["requires-python"].removeprefix(">=")}
    assert found["host"] == python | conda(needed)
    # No conda package of it exists; the recipe says so.
    required = [one for one in project["dependencies"] if "pyradiomics-cuda" not in one]
    assert found["run"] == python | conda(required)
    extras = project["optional-dependencies"]
    optional = [one for extra in extras.keys() - FOR_DEVELOPERS for one in extras[extra]]
    assert found["run_constrained"] == conda(optional)
    assert f'version = "{nonredundant.__version__}"' in recipe
    ((name, target),) = project["scripts"].items()
    assert f"- {name} = {target}\n" in recipe


def test_the_image_installs_the_extras_that_the_commands_ask_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = [one for one in instructions() if "/source[" in one]
    extras = set(line.split("/source[")[1].split("]")[0].split(","))
    assert extras == OF_THE_COMMANDS <= project["optional-dependencies"].keys()
    lowest = project["requires-python"].removeprefix(">=")
    bases = [one.split()[1] for one in instructions() if one.startswith("FROM ")]
    assert set(bases) == {f"python:{lowest}-slim"}


def test_the_image_copies_files_that_exist():
    copied = [shlex.split(line)[1:-1] for line in instructions() if line.startswith("COPY ")]
    names = [name for line in copied for name in line if not name.startswith(("--", "/"))]
    assert {"nonredundant", "pyproject.toml"} <= set(names)
    assert all((ROOT / name).exists() for name in names)


def test_the_image_ends_in_a_comparison_with_options_that_exist():
    (line,) = [one for one in instructions() if "nonredundant evaluate" in one]
    command = line.split("nonredundant evaluate", 1)[1].split("&&")[0]
    parameters = get_command(app).commands["evaluate"].params
    known = {name for one in parameters for name in [*one.opts, *one.secondary_opts]}
    given = {word for word in shlex.split(command) if word.startswith("--")}
    assert {"--target", "--output"} <= given <= known


def test_phantoms_of_the_image_are_a_cohort_on_disk(tmp_path):
    namespace: dict = {"__name__": "phantom_cases"}
    source = (ROOT / "tools" / "phantom_cases.py").read_text(encoding="utf-8")
    exec(compile(source, "phantom_cases.py", "exec"), namespace)
    namespace["main"](tmp_path / "cases", 2)
    cases = pd.read_csv(tmp_path / "cases" / "cases.csv", index_col="id")
    assert cases.columns.tolist() == ["image", "mask", "label"]
    extractor = nonredundant.RadiomicsExtractor(
        "PET", feature_classes=("shape",), patch_shape=None, root=tmp_path / "cases"
    )
    volumes = extractor.fit_transform(cases).features["original_shape_VoxelVolume"]
    assert np.all(volumes > 0)


def test_files_of_a_release_have_its_number():
    number = nonredundant.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", changes, flags=re.M)[1:]
    latest, date = re.match(r"(\S+) \((\S+)\)\n", releases[0]).groups()
    assert latest == number
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {number}\n" in cited
    dated = [] if date == "unreleased" else [str(datetime.date.fromisoformat(date))]
    assert re.findall(r"^date-released: (\S+)$", cited, re.M) == dated
    # What a user reads of a release is a page, not a log.
    assert max(len(one.splitlines()) for one in releases) < 80
    switch = json.loads((ROOT / "docs" / "_static" / "switcher.json").read_text(encoding="utf-8"))
    assert number in [entry["version"] for entry in switch]


def test_the_wheel_holds_every_file_that_the_package_reads():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["nonredundant"]
    package = ROOT / "nonredundant"
    files = [
        path for path in package.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    ]
    data = [path.relative_to(package).as_posix() for path in files if path.suffix != ".py"]
    assert len(data) > 3
    assert not [name for name in data if not any(fnmatch(name, one) for one in patterns)]
