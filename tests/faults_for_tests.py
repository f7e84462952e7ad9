"""Work that is killed at a random moment, checked, and done again.

Run as a script, this file serves a `Killer`: it imports everything once, and does each task that
it is told in a process of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import joblib
import numpy as np
import pandas as pd

#: Where the modules of the tests and the package are.
_PATHS = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]


# Tasks ---------------------------------------------------------------------------------------


def _cases() -> pd.DataFrame:
    from cases_for_tests import cohort

    return cohort(24)


def _extractor(**parameters: Any) -> Any:
    from cases_for_tests import quick

    features = ["shape", "firstorder", "glcm", "glrlm"]
    return quick(feature_classes=features, patch_shape=(24, 24, 24), **parameters)


def _of_table(table: Any) -> list[Any]:
    return [table.features, np.asarray(table.patches), np.asarray(table.masks), list(table.index)]


def extract(folder: Path, n_jobs: int) -> Any:
    """Extract cases with a cache."""
    extractor = _extractor(memory=folder / "cache", n_jobs=n_jobs)
    return _of_table(extractor.fit_transform(_cases()))


def stream(folder: Path, n_jobs: int) -> Any:
    """Extract cases to a store."""
    extractor = _extractor(n_jobs=n_jobs)
    return _of_table(extractor.to_store(_cases(), folder / "store", batch_size=3))


def train(folder: Path, n_jobs: int) -> Any:
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


def _compare(folder: Path, n_jobs: int) -> Any:
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
        n_jobs=n_jobs,
        random_state=0,
    )


def compare(folder: Path, n_jobs: int) -> Any:
    """Compare feature sets with a memory."""
    found = _compare(folder, n_jobs)
    return [found.scores, found.predictions, found.tests, found.redundancy, found.answer()]


def report(folder: Path, n_jobs: int) -> Any:
    """Write report and tables of a comparison."""
    found = joblib.load(folder.parent / "comparison.joblib")
    found.to_csv(folder / "tables")
    found.to_html(folder / "index.html")
    found.to_csv(folder / "tables")
    # The page states no time but that of the comparison.
    return [one.read_text(encoding="utf-8") for one in _files(folder)]


def prepare_report(folder: Path, n_jobs: int) -> None:
    """Make the comparison that `report` writes."""
    joblib.dump(_compare(folder, n_jobs), folder.parent / "comparison.joblib")


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


TASKS: dict[str, tuple[Callable[[Path, int], Any], Callable[[Path], None]]] = {
    "extraction with a cache": (extract, check_cache),
    "extraction to a store": (stream, check_store),
    "network training": (train, check_model),
    "folds of a comparison": (compare, check_cache),
    "report and tables": (report, check_report),
}
#: What must be there before a task.
FIRST = {"report and tables": prepare_report}


# Killing -------------------------------------------------------------------------------------


class Killer:
    """Does tasks in processes of their own, and kills them.

    Parameters
    ----------
    folder : Path
        Where the tasks work.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS), "MPLBACKEND": "agg"},
        )
        assert self._answer() == "ready"

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.kill()
        self._server.communicate()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()

    def _begin(self, name: str, folder: str, n_jobs: int) -> int:
        """Begin a task and return the id of its process."""
        assert self._server.stdin is not None
        (self.folder / folder).mkdir(exist_ok=True)
        print(json.dumps([name, str(self.folder / folder), n_jobs]), file=self._server.stdin)
        self._server.stdin.flush()
        return int(self._answer())

    def finish(self, name: str, folder: str, n_jobs: int = 1) -> tuple[str, float]:
        """Do a task; return the digest of its result and the seconds that it took."""
        begin = time.perf_counter()
        self._begin(name, folder, n_jobs)
        assert self._answer() == "0", f"{name} failed: {self._said(folder, 'log')}"
        return self._said(folder, "digest"), time.perf_counter() - begin

    def survives(
        self, name: str, folder: str, expected: str, after: float, *, n_jobs: int, group: bool
    ) -> bool:
        """Kill a task after some seconds, check what it left, and do it again.

        With `group` its worker processes are killed, too. Returns whether the task was running.
        """
        process = self._begin(name, folder, n_jobs)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process, signal.SIGKILL)
        alive = self._answer() == str(-signal.SIGKILL)
        check = TASKS[name][1]
        check(self.folder / folder)
        try:
            found, _ = self.finish(name, folder, n_jobs)
        finally:
            # Workers that have outlived the process they worked for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        assert found == expected, f"{name}, killed after {after:.3f} s, has another result"
        check(self.folder / folder)
        return alive

    def _said(self, folder: str, ending: str) -> str:
        path = self.folder / f"{folder}.{ending}"
        return path.read_text(encoding="utf-8")[-3000:] if path.exists() else ""


def _serve() -> None:
    """Do the tasks that the standard input names, each in a process of its own."""
    # The seconds before a kill are those of the work, not of the imports.
    for module in ("evaluation", "models", "extraction", "report"):
        importlib.import_module(f"nonredundant.{module}")
    for module in ("torch", "skorch", "SimpleITK", "radiomics", "matplotlib.pyplot", "skops.io"):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if not process:
            _do(*json.loads(line))
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _do(name: str, folder: str, n_jobs: int) -> NoReturn:
    """Do one task, write the digest of its result, and end the process."""
    code = 1
    os.setsid()
    log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        warnings.simplefilter("ignore")
        task = FIRST[name.removeprefix("before ")] if name.startswith("before ") else TASKS[name][0]
        result = task(Path(folder), n_jobs)
        Path(f"{folder}.digest").write_text(joblib.hash(result), encoding="utf-8")
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
