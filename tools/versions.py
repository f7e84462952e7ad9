"""Try the corners of the supported versions, and write what happened to `docs/versions.md`.

    python tools/versions.py                       # every interpreter found
    python tools/versions.py --corner lowest --python python3.11

Each corner is a virtual environment of its own: the lowest versions that `pyproject.toml` allows,
on the lowest Python, or the newest ones of the index that pip is set up with. The committed state
of the repository is installed in it, and the quick tests of `TESTS` run there. Warnings of
deprecation that the package itself causes are errors; those of other packages are not. Rows of
corners that were not tried this time stay in the table. An environment takes 1 to 6 GB, as torch
may bring the libraries of CUDA, and is removed after its turn unless `--keep`.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "versions.md"
#: Minor versions of Python that are looked for.
PYTHONS = ("3.11", "3.12", "3.13")
#: Packages whose versions are columns of the table.
SHOWN = ("scikit-learn", "skorch", "torch", "numpy", "pandas", "scipy", "SimpleITK", "skops")
#: What runs in each environment: estimators in scikit-learn's hands, and one test per stage.
TESTS = (
    "tests/test_sklearn_checks.py",
    "tests/test_set_output.py",
    "tests/test_metadata_routing.py",
    "tests/test_scikit_learn_tools.py",
    "tests/test_imbalanced_learn.py",
    "tests/test_skorch.py",
    "tests/test_saved_models.py",
    "tests/test_pipeline.py",
    "tests/lesions",
    "tests/extraction/test_extractor.py",
    "tests/extraction/test_radiomics.py",
    "tests/models/test_cvae.py",
    "tests/evaluation/test_compare.py",
    "tests/report/test_page.py",
)
#: Extras of the package that the tests need.
EXTRAS = ("graph", "store")
#: Test tools of each environment, beside the dependencies of the package.
TOOLS = ("pytest>=8", "hypothesis>=6.100", "polars>=1.0", "pydicom>=3.0")
FILTERS = "default\nerror::DeprecationWarning:nonredundant\nerror::FutureWarning:nonredundant"
HEAD = """# Versions

What was tried, with the quick tests of `tools/versions.py`, on Linux. "Lowest" are the lowest
versions that `pyproject.toml` allows, "newest" the newest ones of the index at that date; each row
is a virtual environment of its own. Deprecation warnings that this package causes are errors there.
`constraints.txt` has the versions of the whole test suite.

| Python | versions | """


def main() -> None:
    """Try the corners that were asked for and rewrite the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corner", choices=("lowest", "newest"), action="append")
    parser.add_argument("--python", action="append", help="interpreter; by default all that exist")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the environments in this folder")
    parser.add_argument("--print", action="store_true", help="print the page, do not write it")
    arguments = parser.parse_args()
    rows = read_rows(PAGE)
    found = {}
    for wanted in arguments.python or PYTHONS:
        path, version = interpreter(wanted)
        if path is None:
            missing = wanted.removeprefix("python")
            rows[missing, "–"] = [missing, "–", *[""] * len(SHOWN), "no interpreter here", ""]
        else:
            rows.pop((version, "–"), None)
            found[version] = path
    for version, path in found.items():
        # The lowest versions have no wheels for a newer Python than the lowest.
        both = ("lowest", "newest") if version == PYTHONS[0] else ("newest",)
        for corner in arguments.corner or both:
            row = try_corner(path, version, corner, arguments.keep)
            # Another run may have written its row meanwhile.
            rows = {**rows, **read_rows(PAGE), (version, corner): row}
            if not arguments.print:
                PAGE.write_text(write_rows(rows), encoding="utf-8")
    print(write_rows(rows))


def interpreter(wanted: str) -> tuple[str | None, str]:
    """Return the path of an interpreter and its version x.y; None if there is none that runs."""
    names = [wanted] if not re.fullmatch(r"3\.\d+", wanted) else [f"python{wanted}"]
    home = Path.home() / ".pyenv" / "versions"
    names += [str(path / "bin" / "python") for path in sorted(home.glob(f"{wanted}.*"))]
    for name in names:
        path = shutil.which(name)
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        if path:
            run = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
            if run.returncode == 0:
                return path, run.stdout.strip()
    return None, wanted


def requirements(corner: str) -> list[str]:
    """Return what pip is asked for: the lower bounds of the dependencies as pins, or nothing."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    if corner == "newest":
        return []
    dependencies = list(project["dependencies"])
    for extra in EXTRAS:
        dependencies += project["optional-dependencies"][extra]
    # scikit-learn takes frames of polars 2 since its version 1.9.
    return [*(dependency.replace(">=", "==") for dependency in dependencies), "polars<2"]


def try_corner(path: str, version: str, corner: str, keep: str | None) -> list[str]:
    """Install one corner, run the tests in it and return its row."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(keep or scratch).resolve() / f"{version}-{corner}"
        source = Path(scratch) / "source"
        source.mkdir()
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
        if not (home / "bin" / "python").exists():
            subprocess.run([path, "-m", "venv", home], check=True)
        python = str(home / "bin" / "python")
        wanted = [f"{source}[{','.join(EXTRAS)}]", *TOOLS, *requirements(corner)]
        install = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        if install.returncode:
            reason = " ".join(install.stderr.strip().splitlines()[-1:])
            return [version, corner, *[""] * len(SHOWN), f"does not install: {reason}", today()]
        shown = [installed(python, name) for name in SHOWN]
        start = time.perf_counter()
        outcome = run_tests(python, source, home)
        minutes = (time.perf_counter() - start) / 60
        return [version, corner, *shown, f"{outcome} ({minutes:.0f} min)", today()]


def run_tests(python: str, source: Path, home: Path) -> str:
    """Run the quick tests and return pytest's closing line; the output goes to a file."""
    tests = [name for name in TESTS if (source / name).exists()]
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        f"filterwarnings={FILTERS}",
    ]
    run = subprocess.run(
        [*command, "-m", "not slow", *tests],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    log = home.parent / f"{home.name}.log"
    log.write_text(run.stdout + run.stderr, encoding="utf-8")
    print(f"{log}:", *run.stdout.splitlines()[-30:], sep="\n", file=sys.stderr)
    closing = re.sub(r" in [\d.]+s.*", "", run.stdout.strip().splitlines()[-1].strip("= "))
    return re.sub(r", \d+ warnings?", "", closing)


def installed(python: str, name: str) -> str:
    """Return the installed version of a package."""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def today() -> str:
    """Return the date."""
    return datetime.date.today().isoformat()


def read_rows(page: Path) -> dict[tuple[str, str], list[str]]:
    """Return the rows of an earlier page by Python and corner."""
    rows = {}
    for line in page.read_text(encoding="utf-8").splitlines() if page.exists() else []:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| 3."):
            rows[cells[0], cells[1]] = cells
    return rows


def write_rows(rows: dict[tuple[str, str], list[str]]) -> str:
    """Return the page."""
    lines = [HEAD + " | ".join([*SHOWN, "tests", "date"]) + " |"]
    lines.append("| --- " * (len(SHOWN) + 4) + "|")
    lines += ["| " + " | ".join(cells) + " |" for _, cells in sorted(rows.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
