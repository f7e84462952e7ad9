"""Tables of radiomics without images, and embeddings beside them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nonredundant.cli.tools import echo_stderr, read_cases, read_labels, repeated_ids

#: Columns as pyradiomics names them, whatever stands before the filter of the image.
_RADIOMICS = re.compile(r".+_(shape|shape2D|firstorder|glcm|glrlm|glszm|gldm|ngtdm)_\w+")
_DIAGNOSTICS = re.compile(r"(.*_)?diagnostics_.*")
#: Columns of a table of lesions (`LesionTable.to_frame`) that describe the lesion.
_LESION, _POSITIONS = "lesion", ("position_z", "position_y", "position_x")
_SHOWN = 5


def read_embeddings(options: Sequence[str], outcome: Sequence[str | None] = ()) -> dict[str, Any]:
    """Read the embeddings of the option --embedding NAME=FILE, by name.

    Raises
    ------
    ValueError
        If an option has no name or no file, a name is repeated, or a file cannot be read or has
        a column of the outcome.
    """
    from nonredundant.lesions.blocks import check_embedding_name
    from nonredundant.lesions.embedding_files import read_embedding

    found: dict[str, Any] = {}
    for option in options:
        name, equals, file = option.partition("=")
        if not equals or not file:
            raise ValueError(f"--embedding {option}: write NAME=FILE, such as FMCIB=fmcib.csv")
        check_embedding_name(name)
        if name in found:
            raise ValueError(f"--embedding names {name!r} twice: give each file another name")
        found[name] = read_embedding(file)
        both = [column for column in outcome if column in found[name].columns]
        if both:
            raise ValueError(
                f"--embedding {option}: the file has the columns {both}, which are the outcome: "
                "the model would be told the answer; leave them out"
            )
    return found


def read_lesions(
    path: Path,
    target: str | None,
    *,
    clinical: Sequence[str] = (),
    hcr: Sequence[str] = (),
    columns: Sequence[str] = (),
    embeddings: Mapping[str, Any] | None = None,
    event: str | None = None,
    groups: str | None = None,
    centre: str | None = None,
) -> tuple[Any, Any]:
    """Read a CSV file of radiomics, with its embeddings and labels.

    Rows are cases; with a column `lesion` they are the lesions of the cases that their ids name.

    Parameters
    ----------
    path : Path
        The file.
    target, event, groups, centre : str or None
        Columns of the outcome, which may be unknown, of the groups and of the centres.
    clinical : sequence of str
        Clinical columns, which stay in `samples`.
    hcr : sequence of str
        Patterns of the hand-crafted columns; by default names of pyradiomics.
    columns : sequence of str
        The hand-crafted columns, where they are known, in place of patterns.
    embeddings : mapping of str to DataFrame
        Embeddings, which may hold other cases, too.

    Returns
    -------
    table : LesionTable
        The lesions.
    labels : Series, DataFrame or None
        The outcome of each sample; None without a target.

    Raises
    ------
    ValueError
        If no column is hand-crafted, an outcome is, cells are no numbers, or cases have no row in
        an embedding.
    """
    from nonredundant.lesions.embedding_files import rows_of_cases
    from nonredundant.lesions.table import LesionTable

    outcome = [name for name in (target, event) if name]
    needed = [*outcome, *clinical, *columns]
    rows = read_cases(path, *needed, groups=groups, centre=centre, measured=False)
    if not columns:
        columns = _radiomics(rows, path, [*needed, groups, centre, rows.index.name], hcr)
    _check_numbers(rows[list(columns)], path)
    first, sample = _samples(rows, path)
    samples = rows.loc[first].drop(columns=columns)
    labels = None if target is None else read_labels(samples, target, path, event)
    _check_one_label(rows, sample, outcome, path)
    if _LESION in rows:
        samples = samples.set_axis(samples[rows.index.name], axis=0)
        labels = None if labels is None else labels.set_axis(samples.index, axis=0)
    there = [name for name in _POSITIONS if name in rows]
    given = {}
    for name, frame in (embeddings or {}).items():
        _check_repeated_ids(samples, name, frame, path)
        given[name] = rows_of_cases(frame, samples.index)
        left = len(frame) - len(given[name])
        if left:
            others = frame.index.difference(given[name].index)[:_SHOWN].tolist()
            echo_stderr(
                f"Warning: {left} of {len(frame)} rows of the embedding {name} are of no case of "
                f"{path} and are left out: {others}"
            )
    table = LesionTable(
        rows[list(columns)].astype(float).reset_index(drop=True),
        sample=sample,
        index=samples.index,
        samples=samples,
        positions=rows[there].to_numpy() if there and _LESION in rows else None,
        embeddings=given or None,
    )
    return table, labels


def _check_repeated_ids(samples: Any, name: str, embedding: Any, path: Path) -> None:
    """Raise if an embedding has no rows of its own for the rows of an id that has several."""
    ids = repeated_ids(samples)
    if not ids:
        return
    twice = samples.index[samples[ids].duplicated().to_numpy()]
    there = embedding.index.get_level_values(0)
    missing = twice[~twice.isin(there)].tolist()
    if missing:
        raise ValueError(
            f"{path} has several rows of one {ids}, and the embedding {name} has none for "
            f"{missing[:_SHOWN]}: label its rows so, the second row of an id ending in ' #2', or "
            "leave one row per id"
        )


def read_measured(path: Path, table: Any) -> Any:
    """Read a second measurement of the hand-crafted features of a table.

    Parameters
    ----------
    path : Path
        A CSV file with the same columns; other columns are not looked at.
    table : LesionTable
        The first measurement.

    Returns
    -------
    LesionTable
        The second one.

    Raises
    ------
    ValueError
        If a column is missing, or cells are no numbers.
    """
    from nonredundant.lesions.features import non_numeric_columns
    from nonredundant.lesions.table import LesionTable

    columns = table.columns_of("hcr")
    rows = read_cases(path, *columns, measured=False)
    words = non_numeric_columns(rows[columns])
    if words:
        raise ValueError(f"{path}: radiomics must be numbers, but {words[:_SHOWN]} are not")
    first, sample = _samples(rows, path)
    index = rows.loc[first, rows.index.name] if _LESION in rows else first
    features = rows[columns].astype(float).reset_index(drop=True)
    return LesionTable(features, sample=sample, index=index)


def _radiomics(rows: Any, path: Path, others: Sequence[Any], patterns: Sequence[str]) -> list[str]:
    """Choose the hand-crafted columns, and tell which others are left out."""
    diagnostics = [name for name in rows.columns if _DIAGNOSTICS.fullmatch(name)]
    free = [name for name in rows.columns if name not in {*diagnostics, *others, _LESION}]
    chosen = [name for name in free if _is_radiomics(name, patterns)]
    if not chosen:
        wanted = f"of the patterns {list(patterns)}" if patterns else "that pyradiomics names"
        raise ValueError(
            f"{path} has neither a column 'image' nor columns {wanted}, among {len(free)} others: "
            f"{free[:_SHOWN]}; choose the radiomics by --hcr, for instance --hcr 'original_*'"
        )
    _tell_left_out(path, diagnostics, [name for name in free if name not in chosen])
    return chosen


def _check_numbers(radiomics: Any, path: Path) -> None:
    """Raise if cells of hand-crafted columns are no numbers."""
    from nonredundant.lesions.features import describe_odd_cells, non_numeric_columns

    words = non_numeric_columns(radiomics)[:_SHOWN]
    if words:
        shown = [describe_odd_cells(radiomics[name], mostly=False) or name for name in words]
        raise ValueError(f"{path}: radiomics must be numbers, but {'; '.join(shown)}")


def _is_radiomics(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a column is hand-crafted: of a pattern, or as pyradiomics names it."""
    if patterns:
        return any(fnmatch.fnmatchcase(name, one) for one in patterns)
    return _RADIOMICS.fullmatch(name) is not None


def _tell_left_out(path: Path, diagnostics: Sequence[str], others: Sequence[str]) -> None:
    """Tell which columns are not used."""
    if diagnostics:
        echo_stderr(
            f"Warning: {path}: {len(diagnostics)} columns of pyradiomics that describe the "
            f"extraction, not the lesion, are left out: {diagnostics[0]}, …"
        )
    ignored = [name for name in others if name not in (*_POSITIONS, "status")]
    if ignored:
        echo_stderr(
            f"Warning: {path}: {len(ignored)} columns are not used: {ignored[:_SHOWN]}; --hcr and "
            "--clinical choose columns"
        )


def _samples(rows: Any, path: Path) -> tuple[Any, Any]:
    """Return the first row of each sample, and the sample of each row; lesions come together."""
    import numpy as np

    if _LESION not in rows:
        return rows.index, np.arange(len(rows))
    if rows.index.name is None:
        raise ValueError(f"{path} has a column 'lesion', and no column of ids: whose lesions?")
    ids = rows[rows.index.name].to_numpy()
    changes = np.r_[True, ids[1:] != ids[:-1]]
    if changes.sum() != len(set(ids)):
        raise ValueError(
            f"{path}: the lesions of a case must be in rows that follow each other: sort it by "
            f"{rows.index.name!r}"
        )
    return rows.index[changes], np.cumsum(changes) - 1


def _check_one_label(rows: Any, sample: Any, outcome: Sequence[str], path: Path) -> None:
    """Raise if lesions of a case have different outcomes."""
    for name in outcome:
        several = rows[name].groupby(sample).nunique(dropna=False) > 1
        if several.any():
            number = int(several.to_numpy().argmax())
            label = rows.index[(sample == number).argmax()]
            raise ValueError(
                f"{path}: the lesions of {label!r} have several values of {name!r}: the outcome "
                "is that of the case"
            )
