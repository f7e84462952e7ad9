"""Shared parts of the commands: case tables, messages, exit codes and model files."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

OK, SOME_FAILED, WRONG_USE = 0, 1, 2
#: Packages whose classes a model file may contain, besides those that skops trusts by default.
_TRUSTED = ("nonredundant.", "imblearn.", "sksurv.")
#: Single types; the trees are those of random forests.
_TRUSTED_TYPES = ("numpy.dtype", "sklearn.tree._tree.Tree")


def echo(message: str) -> None:
    """Print a result to standard output."""
    typer.echo(message)


def echo_stderr(message: str) -> None:
    """Print a message that is not a result to standard error."""
    typer.echo(message, err=True)


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Print errors as one line and set the exit code, in place of a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            try:
                code = function(*args, **kwargs)
            except KeyboardInterrupt:
                echo_stderr("Interrupted.")
                raise typer.Exit(130) from None
            except (ValueError, TypeError, OSError, ImportError) as error:
                echo_stderr(f"Error: {error}")
                raise typer.Exit(WRONG_USE) from None
        if code:
            raise typer.Exit(code)

    return run


def _show_warning(message: Any, category: Any, *_: Any, **__: Any) -> None:
    """Print a warning without the line of code that raised it."""
    echo_stderr(f"Warning: {message}")


def read_cases(path: Path, *needed: str) -> Any:
    """Read a case table from a CSV file, with paths resolved against the file's folder.

    Raises
    ------
    ValueError
        If the file is not a table, lacks a column or contains a case twice.
    OSError
        If there is no such file.
    """
    import pandas as pd

    try:
        cases = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from error
    missing = [name for name in ("image", *needed) if name and name not in cases.columns]
    if missing:
        raise ValueError(f"{path} lacks the columns {missing}; it has {list(cases.columns)}")
    first = cases.columns[0]
    if first not in ("image", "mask", *needed) and cases[first].is_unique:
        # It is kept as a column, too: it may be a clinical variable.
        cases = cases.set_axis(pd.Index(cases[first], name=None), axis=0)
    for name in ("image", "mask"):
        if name in cases:
            cases[name] = [_resolve(cell, path.parent) for cell in cases[name]]
    return cases


def _resolve(cell: Any, folder: Path) -> Any:
    """Return a path below the table's folder if it exists, else as it is written."""
    if not isinstance(cell, str):
        return None
    beside = folder / cell
    return str(beside.resolve()) if beside.exists() else cell


def split_list(value: str | None) -> list[str]:
    """Split a comma-separated option."""
    return [part.strip() for part in (value or "").split(",") if part.strip()]


def read_labels(cases: Any, target: str, path: Path, event: str | None = None) -> Any:
    """Return the label column, or events and times if `event` is given; none may be missing."""
    for name in (target, *([event] if event else [])):
        missing = cases[name].isna()
        if missing.any():
            rows = cases.index[missing].tolist()
            raise ValueError(
                f"{path}: {len(rows)} cases have no {name!r}: {rows[:5]}; label or remove them"
            )
    if event is None:
        return cases[target]
    if not cases[event].isin([0, 1]).all():
        odd = cases[event][~cases[event].isin([0, 1])].unique()[:5].tolist()
        raise ValueError(f"{path}: the event {event!r} must be 0 or 1 (or true, false), got {odd}")
    return cases[[event, target]].astype({event: bool})


def parse_patients(value: str) -> Any:
    """Convert the option to a name or to a list of ways to pool lesions."""
    ways = split_list(value)
    return ways[0] if len(ways) == 1 else ways


def clinical_columns(cases: Any, names: list[str]) -> Any:
    """Make the transformer of clinical columns: numbers imputed, categories as indicators."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    if not names:
        return None
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(cases[name])]
    words = [name for name in names if name not in numeric]
    encoder = OneHotEncoder(drop="if_binary", handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [("number", SimpleImputer(strategy="median"), numeric), ("word", encoder, words)],
        verbose_feature_names_out=False,
    )


def report_failures(status: Any) -> int:
    """Print the cases that failed, with the reason, and return the exit code."""
    failed = {label: reason for label, reason in status.items() if reason != "ok"}
    for label, reason in failed.items():
        echo_stderr(f"Failed: {label}: {reason}")
    return SOME_FAILED if failed else OK


def write_results(comparison: Any, output: Path, *more: str) -> None:
    """Write the report and the tables, and print the answer and where the files are."""
    output.mkdir(parents=True, exist_ok=True)
    comparison.to_csv(output / "tables")
    page = comparison.to_html(output / "index.html")
    echo("")
    for line in (comparison.answer(), comparison.graph_answer(), *more):
        if line:
            echo(line)
    echo(f"Report: {page}")
    echo(f"Tables: {output / 'tables'}")


def load_model(path: Path) -> Any:
    """Load a saved model; a file with types from other packages is refused.

    Raises
    ------
    ValueError
        If the file is not a model of this package, or contains types that are not trusted.
    """
    import zipfile

    import skops.io

    from nonredundant.evaluation.classifier import FeatureSetClassifier

    try:
        found = skops.io.get_untrusted_types(file=path)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path} is not a model file: {error}") from error
    odd = [t for t in found if not t.startswith(_TRUSTED) and t not in _TRUSTED_TYPES]
    if odd:
        raise ValueError(
            f"{path} contains types that are not trusted: {odd}; a model of `nonredundant fit` "
            "contains none of these, so the file is refused"
        )
    model = skops.io.load(path, trusted=found)
    if not isinstance(model, FeatureSetClassifier):
        raise ValueError(f"{path} contains a {type(model).__name__}, not a fitted model")
    return model


def cores(jobs: int) -> int:
    """Return the number of parallel processes; 0 means one per core."""
    import joblib

    return jobs if jobs > 0 else joblib.cpu_count()
