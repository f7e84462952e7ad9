"""Shared parts of the commands: case tables, messages and exit codes."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.files import make_folder
from nonredundant.utils.parallel import WorkerDiedError
from nonredundant.utils.user_warnings import printable

OK, SOME_FAILED, WRONG_USE = 0, 1, 2
#: What other tables than CSV have between their cells.
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
#: Bytes at the start of a table that are looked at.
_HEAD = 4096
#: Errors of wrong use, of input and of the machine, which are printed without a traceback.
_EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    MemoryError,
    FloatingPointError,
    WorkerDiedError,
)
#: Words in the name of a column of ids, which may repeat; ids of a first column of another name
#: may not.
_ID_WORDS = frozenset("id ids pid mrn patient patients subject subjects case cases name".split())


def echo(message: str) -> None:
    """Print a result to standard output."""
    typer.echo(printable(message, keep="\n"))


def echo_stderr(message: str) -> None:
    """Print a message that is not a result to standard error."""
    typer.echo(printable(message, keep="\n"), err=True)


def one_line(text: object) -> str:
    """Write a message of several lines as one, so that none can look like another message."""
    return printable(" ".join(line.strip() for line in str(text).splitlines()))


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Print errors as one line and set the exit code, in place of a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.showwarning = _shower()
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            try:
                code = function(*args, **kwargs)
            except KeyboardInterrupt:
                echo_stderr("Interrupted.")
                raise typer.Exit(130) from None
            except _EXPECTED as error:
                reason = str(error) or type(error).__name__
                if isinstance(error, MemoryError) and not str(error):
                    reason = "there is not enough memory"
                echo_stderr(f"Error: {one_line(reason)}")
                raise typer.Exit(WRONG_USE) from None
        if code:
            raise typer.Exit(code)

    return run


def _shower() -> Callable[..., None]:
    """Return what prints a warning without the line of code that raised it, each text once."""
    told: set[str] = set()

    def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
        text = one_line(message)
        if text not in told:
            told.add(text)
            echo_stderr(f"Warning: {text}")

    return show


def has_images(path: Path) -> bool:
    """Return whether a CSV file has a column of images; otherwise it is a table of features."""
    columns = _read_text(path).columns
    return any(name == "image" or name.startswith("image_") for name in columns)


def read_cases(
    path: Path,
    *needed: str,
    groups: str | None = None,
    centre: str | None = None,
    root: Path | None = None,
    images: Mapping[str, Any] | None = None,
    measured: bool = True,
) -> Any:
    """Read a case table from a CSV file; relative paths start from `root`, or the file's folder.

    Ids are the first column, unless it is one of `needed`, or another one that is named for ids,
    exactly as written; they label the rows, and the index has the name of their column. The
    second row of an id is labelled "id #2". Empty rows are dropped with a message. Several `images`
    are in columns of their own, `image_NAME`.

    Raises
    ------
    ValueError
        If the file is not a table, lacks a column or an id, or relative paths leave the folder
        that they start from.
    OSError
        If there is no such file.
    """
    text = _read_text(path)
    wanted: list[str] = []
    if measured:
        wanted = [f"image_{name}" for name in images or ()] or ["image"]
    names = [name for name in (*wanted, *needed, groups, centre) if name]
    _check_columns(text, names, path)
    files = _file_columns(text)
    text = _without_empty_rows(text, path)
    cases = _inferred(text)
    ids = _id_column(text, (*files, *needed))
    if ids is not None:
        cases = cases.set_axis(_row_labels(text[ids], path), axis=0)
        # The ids are kept as a column, too, because that column may name the groups.
        cases[ids] = text[ids].to_numpy()
    for name in {groups, centre} - {None}:
        cases[name] = text[name].str.strip().replace("", None).to_numpy()
    folder = path.parent if root is None else root
    if not folder.is_dir():
        raise NotADirectoryError(f"--root {folder} is no folder; paths of {path} start from it")
    _check_inside(text, path, folder)
    # Asking the disk once for each of many cells takes minutes.
    start = str(folder.resolve())
    for name in files:
        cases[name] = _resolved(text[name].tolist(), start)
    return cases


def _file_columns(text: Any) -> list[str]:
    """List the columns with paths of images and masks."""
    from nonredundant.extraction.case_table import source_columns

    return [name for name in source_columns(text) if not name.startswith("spacing")]


def parse_images(values: list[str] | None) -> dict[str, dict[str, Any]] | None:
    """Convert options such as pet=PET to the parameters of each image; None without any.

    Raises
    ------
    ValueError
        If an option is no pair, or a name occurs twice.
    """
    if not values:
        return None
    pairs = [value.partition("=") for value in values]
    names = [name.strip() for name, _, _ in pairs]
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(
            f"--image must have a name of its own each time, such as pet=PET, got {values}"
        )
    return {
        name.strip(): {"modality": preset.strip()} if preset.strip() else {}
        for name, _, preset in pairs
    }


def _check_columns(text: Any, wanted: list[str], path: Path) -> None:
    """Raise if a table lacks columns."""
    missing = [name for name in dict.fromkeys(wanted) if name not in text.columns]
    if missing:
        other = next((what for one, what in _SEPARATORS.items() if one in text.columns[0]), "")
        hint = f"; separate columns by commas, not {other}" if other else ""
        raise ValueError(
            f"{path} lacks the columns {missing}; it has {list(text.columns)}"
            f"{hint or suggest_names(missing, text.columns)}"
        )


def check_ending(output: Path, ending: str, what: str) -> None:
    """Raise if a file would not be what its name says."""
    if output.suffix != ending:
        raise ValueError(f"--output {output} must end in {ending}, the format of {what}")


def repeated_ids(cases: Any) -> str:
    """Return the name of the id column if an id has several rows; empty if none has."""
    name = cases.index.name
    return name if name is not None and cases[name].duplicated().any() else ""


def check_distinct_ids(cases: Any, path: Path, groups: str | None) -> None:
    """Raise if an id has several rows that are not kept on one side of each split."""
    name = repeated_ids(cases)
    if name and groups is None:
        twice = cases[name][cases[name].duplicated()].unique()
        raise ValueError(
            f"{path}: {len(twice)} ids in {name!r} have several rows: {twice[:5].tolist()}; set "
            f"--groups {name} to keep the rows of an id on one side of each split"
        )


def _read_text(path: Path) -> Any:
    """Read the cells of a CSV file as they are written."""
    import pandas as pd

    settings: dict[str, Any] = {
        "dtype": str,
        "keep_default_na": False,
        "encoding": "utf-8-sig",
        "skip_blank_lines": False,
    }
    try:
        with path.open("rb") as file:
            if b"\0" in file.read(_HEAD):
                raise ValueError(
                    f"{path} is no text in UTF-8 (a spreadsheet, or text in UTF-16?): save it as "
                    "'CSV UTF-8'"
                )
        table = pd.read_csv(path, **settings)
        # pandas renames the second of two columns of one name.
        header = pd.read_csv(path, header=None, nrows=1, **settings).iloc[0]
    except FileNotFoundError as error:
        raise ValueError(f"there is no table {path}; the folder is {Path.cwd()}") from error
    except IsADirectoryError as error:
        raise ValueError(f"{path} is a folder; give a CSV file with one row per case") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not a CSV table in UTF-8 ({error}); spreadsheets write one as 'CSV UTF-8'"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(
            f"{path}: rows have more cells than the header has names ({len(header)}): "
            f"{list(header)}"
        )
    names = header[header != ""]
    if names.duplicated().any():
        twice = names[names.duplicated()].unique().tolist()
        raise ValueError(f"{path} has several columns of the same name: {twice}; rename them")
    return table


def _without_empty_rows(text: Any, path: Path) -> Any:
    """Drop the rows without a cell, such as spreadsheets write below a table, and tell it."""
    empty = text.fillna("").apply(lambda column: column.str.strip() == "").all(axis=1)
    if empty.any():
        lines = [int(position) + 2 for position in empty.to_numpy().nonzero()[0]]
        echo_stderr(f"Warning: {path}: {len(lines)} empty rows are dropped: lines {lines[:5]}")
    return text[~empty].fillna("").reset_index(drop=True)


def _inferred(text: Any) -> Any:
    """Convert the columns to numbers where all cells are numbers, as pandas reads them."""
    import io

    import pandas as pd

    cases = pd.read_csv(io.StringIO(text.to_csv(index=False)), skip_blank_lines=False)
    return cases.set_axis(text.columns, axis=1)


def _id_column(text: Any, others: tuple[str, ...]) -> Any:
    """Return the name of the column of ids: the first one, or one that is named for ids."""
    first = text.columns[0]
    if first not in others and _are_ids(text[first]):
        return first
    named = [name for name in text.columns if name not in others and _words(name) <= _ID_WORDS]
    return named[0] if named else None


def _words(name: str) -> set[str]:
    """Return the words of a column's name."""
    return set(re.findall(r"[a-z]+", str(name).lower())) or {""}


def _are_ids(column: Any) -> bool:
    """Check whether the first column names the cases: by its name, or as its cells differ.

    Decimal fractions are a measurement, such as an age, even where all of them differ.
    """
    if _ID_WORDS & _words(column.name):
        return True
    measured = column.str.fullmatch(r"\s*-?\d+\.\d+\s*").any()
    return bool(column.is_unique and (column.str.strip() != "").all() and not measured)


def _row_labels(ids: Any, path: Path) -> Any:
    """Return one label per row: the id as written, with a number from its second row on."""
    import pandas as pd

    lines = [int(row) + 2 for row in (ids.str.strip() == "").to_numpy().nonzero()[0]]
    if lines:
        raise ValueError(
            f"{path}: {len(lines)} rows have no {ids.name!r}: lines {lines[:5]}; name these cases "
            "or remove them"
        )
    number = ids.groupby(ids).cumcount() + 1
    labels = [one if k == 1 else f"{one} #{k}" for one, k in zip(ids, number, strict=True)]
    return pd.Index(labels, dtype=object, name=ids.name)


def _resolved(cells: list[str], folder: str) -> list[str | None]:
    """Return paths that start from the folder, absolute ones and empty cells as they are."""
    from nonredundant.extraction.case_table import is_empty_cell

    # An absolute path is not joined.
    return [
        None
        if is_empty_cell(cell)
        else os.path.normpath(os.path.join(folder, os.path.expanduser(cell.strip())))
        for cell in cells
    ]


def _check_inside(text: Any, path: Path, folder: Path) -> None:
    """Raise if relative paths leave the folder that they start from."""
    from nonredundant.extraction.case_table import leaves_folder

    outside = [
        f"row {row + 1}: {cell!r}"
        for name in _file_columns(text)
        for row, cell in enumerate(text[name].tolist())
        # Only a step upwards leaves it; most cells have none.
        if ".." in cell and leaves_folder(cell.strip())
    ]
    if outside:
        raise ValueError(
            f"{path}: {len(outside)} paths leave the folder {folder.resolve()}: "
            f"{'; '.join(outside[:5])}; set --root to the folder above all images, or write "
            "absolute paths, if this is meant"
        )


def split_list(value: str | None) -> list[str]:
    """Split a comma-separated option."""
    return [part.strip() for part in (value or "").split(",") if part.strip()]


def parse_numbers(value: str, option: str) -> list[float]:
    """Convert a comma-separated option to numbers.

    Raises
    ------
    ValueError
        If a part is no number, or there is none.
    """
    try:
        found = [float(part) for part in split_list(value)]
    except ValueError:
        found = []
    if not found:
        raise ValueError(f"{option} {value}: write numbers with commas between, such as 0.1,0.2")
    return found


def read_labels(cases: Any, target: str, path: Path, event: str | None = None) -> Any:
    """Return the label column, or events and times if `event` is given; none may be missing."""
    from nonredundant.lesions.features import describe_odd_cells

    for name in (target, *([event] if event else [])):
        missing = cases[name].isna()
        if missing.any():
            rows = cases.index[missing].tolist()
            raise ValueError(
                f"{path}: {len(rows)} cases have no {name!r}: {rows[:5]}; label or remove them"
            )
    if event is None:
        return cases[target]
    odd = describe_odd_cells(cases[target], mostly=False)
    if odd:
        raise ValueError(f"{path}: times must be numbers, but {odd}")
    if not cases[event].isin([0, 1]).all():
        odd = cases[event][~cases[event].isin([0, 1])].unique()[:5].tolist()
        raise ValueError(
            f"{path}: the event {event!r} must be 1 (or true) where it was observed and 0 (or "
            f"false) elsewhere, got {odd}"
        )
    return cases[[event, target]].astype({event: bool})


def cases_and_held(
    path: Path,
    test: Path | None,
    needed: list[str],
    target: str,
    *,
    event: str | None = None,
    groups: str | None = None,
    centre: str | None = None,
    root: Path | None = None,
    images: Mapping[str, Any] | None = None,
) -> tuple[Any, Any, tuple[Any, ...] | None]:
    """Read cases with images, their labels, and held-out cases if there are some."""
    cases = read_cases(path, *needed, groups=groups, centre=centre, root=root, images=images)
    check_distinct_ids(cases, path, groups)
    labels = read_labels(cases, target, path, event)
    if test is None:
        return cases, labels, None
    held = held_out_cases(test, needed, target, event, groups, centre, root=root, images=images)
    return cases, labels, held


def held_out_cases(
    path: Path,
    needed: list[str],
    target: str,
    event: str | None,
    groups: str | None = None,
    centre: str | None = None,
    *,
    root: Path | None = None,
    images: Mapping[str, Any] | None = None,
) -> tuple:
    """Read held-out cases and their labels, and their groups, by default patients that repeat."""
    # Tests within centres need no centre of the held-out cases; steps that do ask for it.
    own = centre if centre in _read_text(path).columns else None
    cases = read_cases(path, *needed, centre=own, root=root, images=images)
    clusters = groups if groups in cases else repeated_ids(cases)
    found = (cases[clusters],) if clusters else ()
    return cases, read_labels(cases, target, path, event), *found


def check_not_clinical(names: list[str], target: str, event: str | None) -> None:
    """Raise if the outcome is among the clinical columns, which would contain the answer."""
    both = [name for name in (target, event) if name in names]
    if both:
        raise ValueError(
            f"--clinical names {both}, which is the outcome: the model would be told the answer; "
            "leave it out"
        )


def parse_patients(value: str) -> Any:
    """Convert the option to a name or to a list of ways to pool lesions."""
    ways = split_list(value)
    return ways[0] if len(ways) == 1 else ways


def clinical_columns(cases: Any, names: list[str]) -> Any:
    """Make the transformer of clinical columns: numbers imputed, categories as indicators.

    Raises
    ------
    ValueError
        If a column is almost all numbers, with a word or a decimal comma in it.
    """
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer

    from nonredundant.extraction.categories import CategoryIndicators
    from nonredundant.lesions.features import describe_odd_cells

    if not names:
        return None
    odd = [found for name in names if (found := describe_odd_cells(cases[name]))]
    if odd:
        raise ValueError(
            f"clinical columns of numbers have other cells: {'; '.join(odd)}; correct them, or "
            "leave unknown cells empty"
        )
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(cases[name])]
    words = [name for name in names if name not in numeric]
    return ColumnTransformer(
        [
            ("number", SimpleImputer(strategy="median"), numeric),
            ("word", CategoryIndicators(), words),
        ],
        verbose_feature_names_out=False,
    )


def report_failures(status: Any) -> int:
    """Print the cases that failed, with the reason, and return the exit code."""
    failed = {label: reason for label, reason in status.items() if reason != "ok"}
    for label, reason in failed.items():
        echo_stderr(f"Failed: {printable(label)}: {one_line(reason)}")
    return SOME_FAILED if failed else OK


def write_results(comparison: Any, output: Path, *more: str) -> None:
    """Write the report and the tables, and print the answer and where the files are."""
    make_folder(output)
    comparison.to_csv(output / "tables")
    page = comparison.to_html(output / "index.html")
    echo("")
    for line in (comparison.answer(), comparison.graph_answer(), *more):
        if line:
            echo(line)
    echo(f"Report: {page}")
    echo(f"Tables: {output / 'tables'}")


def remove_cache(folder: Path) -> None:
    """Remove what joblib keeps in a folder, and the folder if nothing else is in it.

    Of a link the link alone is removed, as what lies behind it would be read as the cache.
    """
    kept = folder / "joblib"
    for link in (folder, kept):
        if link.is_symlink():
            link.unlink()
    shutil.rmtree(kept, ignore_errors=True)
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".gitignore"]:
            # Joblib has written this file.
            (folder / ".gitignore").unlink()
        folder.rmdir()


def start_without_cache(folder: Path) -> None:
    """Remove the cache of an earlier run; raise if it would be read all the same."""
    remove_cache(folder)
    if (folder / "joblib").exists():
        raise ValueError(
            f"the results that an earlier run has kept in {folder / 'joblib'} cannot be removed: "
            "delete this folder, or choose another one with --output"
        )


def cores(jobs: int) -> int:
    """Return the number of parallel processes; 0 means one per core."""
    import joblib

    return jobs if jobs > 0 else joblib.cpu_count()
