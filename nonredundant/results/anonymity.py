"""Results without the ids of patients and the paths of their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

#: Ids of this many characters are replaced within words, too, as in the names of files.
_LONG = 4
#: The beginning of a path, or the name of a file of an image or of contours.
_PATH = re.compile(
    r"(?:(?<![\w<])(?:~|\.{1,2}|[A-Za-z]:)?[\\/]+|[\w.-]+[\\/])[\w.~-]+"
    r"|\.(?:nii|gz|nrrd|nhdr|mha|mhd|dcm|ima|png|jpe?g|tiff?|npz|csv|ya?ml|json)\b",
    re.IGNORECASE,
)
#: Units, fractions and links, which have a slash and are no paths.
_NO_PATH = re.compile(r"\bk?Bq/ml\b|\band/or\b|\b\d+/\d+\b|https?://\S+", re.IGNORECASE)
#: Where a number is an id rather than a count: in lists, in quotes, and after the word case.
_AS_ID = r"(?:^|(?<=['\[])|(?<=[:,] )|(?<=case )){}(?=['\],;:]| \(|$)"
_HIDDEN = "(left out, as it names a file)"
_TABLES = ("predictions", "cv_predictions", "attention")


def anonymised_parts(comparison: Any) -> dict[str, Any]:
    """Return the parts of a comparison that name samples or files, without the names.

    Ids become "case 001", "case 002", …, in the order of their first occurrence in the tables,
    which is that of the folds. Messages that name a file are replaced, as its name may be that
    of a patient.

    Parameters
    ----------
    comparison : FeatureSetComparison
        The comparison.

    Returns
    -------
    dict of str to object
        Attributes of `FeatureSetComparison`.
    """
    names = _new_names(_ids(comparison))
    hide = _redactor(names)
    settings = comparison.settings
    parts: dict[str, Any] = {name: _renamed(getattr(comparison, name), names) for name in _TABLES}
    parts["latents"] = {
        variant: frame.rename(index=lambda one: names.get(one, one))
        for variant, frame in comparison.latents.items()
    }
    parts["patient_graphs"] = [
        {**one, "title": hide(one.get("title") or "")} for one in comparison.patient_graphs
    ]
    parts["warnings"] = list(dict.fromkeys(map(hide, comparison.warnings)))
    parts["settings"] = replace(
        settings,
        failed={names[label]: hide(reason) for label, reason in settings.failed.items()},
        flow=[(stage, n, hide(reason)) for stage, n, reason in settings.flow],
        extractor=None if settings.extractor is None else _without_paths(settings.extractor),
        steps=[hide(_without_paths(step)) for step in settings.steps],
    )
    return parts


def _ids(comparison: Any) -> list[Any]:
    """List the ids of all samples, each once."""
    found: dict[Any, None] = {}
    for name in _TABLES:
        table = getattr(comparison, name)
        if "sample" in table:
            found |= dict.fromkeys(table["sample"])
    for frame in comparison.latents.values():
        found |= dict.fromkeys(frame.index)
    return [*found, *(label for label in comparison.settings.failed if label not in found)]


def _new_names(ids: Iterable[Any]) -> dict[Any, str]:
    """Map each id to a number."""
    found = list(ids)
    width = len(str(len(found)))
    return {label: f"case {number:0{width}d}" for number, label in enumerate(found, start=1)}


def _renamed(table: pd.DataFrame, names: Mapping[Any, str]) -> pd.DataFrame:
    """Replace the column of samples, if there is one."""
    if "sample" not in table:
        return table
    return table.assign(sample=[names[one] for one in table["sample"]])


def _redactor(names: Mapping[Any, str]) -> Callable[[str], str]:
    """Return a function that replaces ids in a message, and messages that name files."""
    written: dict[str, str] = {}
    for label, name in names.items():
        text = str(label)
        written |= {text: name, repr(text)[1:-1]: name}
    written.pop("", None)
    # The longest first: one id may begin another.
    patterns = [_pattern(one) for one in sorted(written, key=len, reverse=True)]
    pattern = re.compile("|".join(patterns)) if patterns else None

    def hide(message: str) -> str:
        """Return the message without ids; nothing of one that names a file."""
        if pattern is not None:
            message = pattern.sub(lambda found: written[found.group()], message)
        return _HIDDEN if _PATH.search(_NO_PATH.sub("", message)) else message

    return hide


def _pattern(text: str) -> str:
    """Return the expression that finds an id in a message."""
    if len(text) >= _LONG:
        return re.escape(text)
    if text.isdecimal():
        return _AS_ID.format(text)
    return rf"(?<!\w){re.escape(text)}(?!\w)"


def _without_paths(text: str) -> str:
    """Replace quoted paths in the description of an extractor."""
    return re.sub(
        r"'[^']*'", lambda found: "'…'" if _PATH.search(found.group()) else found.group(), text
    )
