"""Work that is killed at a random moment, checked, and done again.

Run as a script, this file does one of the tasks in a process of its own: it prints "ready" when
the imports are over and the digest of the result at the end.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

#: Where the modules of the tests and the package are.
_PATHS = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
#: Seconds after which a task that hangs has failed.
_PATIENCE = 300


# Tasks ---------------------------------------------------------------------------------------


def _cases() -> pd.DataFrame:
    from cases_for_tests import cohort

    return cohort(24)


def _extractor(**parameters: Any) -> Any:
    from cases_for_tests import quick

    features = ["shape", "firstorder", "glcm", "glrlm"]
    return quick(feature_classes=features, patch_shape=(24, 24, 24), n_jobs=2, **parameters)


def _of_table(table: Any) -> list[Any]:
    return [table.features, np.asarray(table.patches), np.asarray(table.masks), list(table.index)]


def extract(folder: Path) -> Any:
    """Extract cases with a cache."""
    return _of_table(_extractor(memory=folder / "cache").fit_transform(_cases()))


def stream(folder: Path) -> Any:
    """Extract cases to a store."""
    return _of_table(_extractor().to_store(_cases(), folder / "store", batch_size=3))


def train(folder: Path) -> Any:
    """Train a network and save it."""
    import skops.io
    from cohorts_for_tests import make_table

    from nonredundant import NonRedundantCVAE
    from nonredundant.utils.files import replaced_file

    table, _ = make_table(80)
    model = NonRedundantCVAE(4, max_epochs=30, network={"width": 4}, device="cpu", random_state=0)
    model.fit(table)
    with replaced_file(folder / "model.skops") as file:
        skops.io.dump(model, file)
    return model.transform(table)


def _compare(folder: Path) -> Any:
    from cohorts_for_tests import make_table

    from nonredundant import NonRedundantCVAE, compare_feature_sets

    table, y = make_table(80)
    network = {"width": 4}
    return compare_feature_sets(
        table,
        y,
        cvae=NonRedundantCVAE(3, max_epochs=6, network=network, device="cpu"),
        feature_sets=["HCR", "HCR+DLR-MI"],
        classifiers=["LR"],
        audit=["dcor"],
        cv=2,
        n_repeats=1,
        memory=folder / "cache",
        n_jobs=2,
        random_state=0,
    )


def compare(folder: Path) -> Any:
    """Compare feature sets with a memory."""
    found = _compare(folder)
    return [found.scores, found.predictions, found.tests, found.redundancy, found.answer()]


def report(folder: Path) -> Any:
    """Write report and tables of a comparison."""
    found = joblib.load(folder.parent / "comparison.joblib")
    found.to_csv(folder / "tables")
    found.to_html(folder / "index.html")
    found.to_csv(folder / "tables")
    # The page states no time but that of the comparison.
    return [one.read_text(encoding="utf-8") for one in _files(folder)]


def prepare_report(folder: Path) -> None:
    """Make the comparison that `report` writes."""
    joblib.dump(_compare(folder), folder.parent / "comparison.joblib")


# Checks of what a killed task leaves ---------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file() and one.suffix != ".part")


def check_cache(folder: Path) -> None:
    """Raise unless every result in the cache can be read."""
    for path in folder.rglob("output.pkl"):
        joblib.load(path)


def check_store(folder: Path) -> None:
    """Raise unless the store can be opened and read, if there is one."""
    from nonredundant import LesionTable

    if (folder / "store" / "store.json").exists():
        table = LesionTable.open(folder / "store")
        assert np.isfinite(np.asarray(table.patches)).all()
        assert np.isfinite(table.features.to_numpy()).all()


def check_model(folder: Path) -> None:
    """Raise unless the model is whole, if there is one."""
    import skops.io

    path = folder / "model.skops"
    if path.exists():
        skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    assert {one.suffix for one in folder.iterdir()} <= {".skops", ".part"}


def check_report(folder: Path) -> None:
    """Raise unless page and tables are whole, as far as they are there."""
    for path in _files(folder):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            assert text.rstrip().endswith("</html>")
        if path.suffix == ".csv" and text.strip():
            pd.read_csv(path)
            assert text.endswith("\n")
        if path.suffix == ".json":
            assert text.rstrip().endswith("}")


Task = Callable[[Path], Any]
TASKS: dict[str, tuple[Task, Task]] = {
    "extraction with a cache": (extract, check_cache),
    "extraction to a store": (stream, check_store),
    "network training": (train, check_model),
    "folds of a comparison": (compare, check_cache),
    "report and tables": (report, check_report),
}


# Killing -------------------------------------------------------------------------------------


def digest(result: Any) -> str:
    """Return a digest that changes with any bit of arrays, tables and texts."""
    return hashlib.sha256(joblib.hash(result).encode()).hexdigest()


def _log(folder: Path) -> Path:
    """Return the file beside the folder that holds what its tasks say."""
    return folder.with_name(f"{folder.name}.log")


def start(name: str, folder: Path) -> subprocess.Popen:
    """Start a task in a process of its own, and wait until it is ready to begin."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, __file__, name, str(folder)],
        stdout=subprocess.PIPE,
        stderr=_log(folder).open("w"),
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS), "MPLBACKEND": "agg"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def finish(name: str, folder: Path) -> tuple[str, float]:
    """Run a task to its end; return the digest of its result and the seconds that it took."""
    process = start(name, folder)
    begin = time.perf_counter()
    found, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, f"{name} failed: {_log(folder).read_text()[-2000:]}"
    return found.strip(), time.perf_counter() - begin


def kill(name: str, folder: Path, after: float, *, workers_too: bool) -> bool:
    """Kill a task after some seconds, and its worker processes if asked; return if it was alive."""
    process = start(name, folder)
    time.sleep(after)
    alive = process.poll() is None
    if alive:
        if workers_too:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.communicate()
    return alive


def survives(name: str, folder: Path, expected: str, after: float, *, workers_too: bool) -> bool:
    """Kill a task, check what it left, do it again; return whether it was alive when killed."""
    alive = kill(name, folder, after, workers_too=workers_too)
    TASKS[name][1](folder)
    found, _ = finish(name, folder)
    assert found == expected, f"{name}, killed after {after:.3f} s, has another result"
    TASKS[name][1](folder)
    return alive


def main() -> None:
    """Do one task."""
    import matplotlib as mpl

    # The seconds before a kill are those of the work, not of the imports.
    for module in ("evaluation", "models", "extraction"):
        importlib.import_module(f"nonredundant.{module}")
    mpl.use("agg")
    name, folder = sys.argv[1], Path(sys.argv[2])
    print("ready", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = TASKS[name][0](folder)
    print(digest(result), flush=True)


if __name__ == "__main__":
    main()
