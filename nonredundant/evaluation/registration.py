"""The plan of an analysis, recorded before outcomes are read, and how often it was run on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from nonredundant.utils.cache import absolute_cache
from nonredundant.utils.files import make_folder

#: The file below a `memory` that records plans and runs, a JSON object per line.
RECORD = "registrations.jsonl"


@dataclass(frozen=True)
class Registration:
    """What was planned, and when.

    Attributes
    ----------
    plan : str
        Digest of the plan: feature sets, classifiers, metrics, folds, steps, seed.
    made : str
        When it was recorded, in ISO 8601, before the outcomes were read.
    record : Path or None
        The file that it was written to; None without a folder to keep it in.
    """

    plan: str
    made: str
    record: Path | None = None

    def count_runs(self, outcome: Any) -> int | None:
        """Record that outcomes are read, and count the analyses of the same outcomes so far.

        Parameters
        ----------
        outcome : array
            The outcome of the cohort.

        Returns
        -------
        int or None
            The number of times that these outcomes have been analysed, this time included, in
            whatever order the cases came; None where nothing is recorded.
        """
        if self.record is None:
            return None
        labels = _digest_of_labels(outcome)
        _append(self.record, {"plan": self.plan, "outcomes": labels, "time": _now()})
        lines = self.record.read_text(encoding="utf-8").splitlines()
        return sum(json.loads(line).get("outcomes") == labels for line in lines)

    def described(self, n_runs: int | None) -> dict[str, Any]:
        """Return what the settings of a comparison state of it."""
        return {"plan": self.plan, "made": self.made, "n_runs": n_runs}


#: Parameters of a comparison that do not decide the analysis, or are its data.
_NOT_PLANNED = ("X", "y", "memory", "n_jobs", "verbose", "anonymise", "random_state")


def plan_of(parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the parameters of a comparison that are planned, without its data.

    Parameters
    ----------
    parameters : mapping of str to object
        The arguments of `compare_feature_sets`.
    seed : int
        The seed that repeats it.

    Returns
    -------
    dict
        The plan; of a test set and of groups only that there are some.
    """
    plan = {name: value for name, value in parameters.items() if name not in _NOT_PLANNED}
    data = {name: plan[name] is not None for name in ("test", "groups")}
    return {**plan, **data, "seed": seed}


def register(plan: Mapping[str, Any], memory: Any) -> Registration:
    """Record the plan of an analysis before its outcomes are read.

    Parameters
    ----------
    plan : mapping of str to object
        What decides the analysis.
    memory : str, path, joblib.Memory or None
        Where results are kept; the record is a file in its folder.

    Returns
    -------
    Registration
        The plan's digest and time.

    Examples
    --------
    >>> register({"feature_sets": ["HCR", "HCR+DLR-MI"]}, None).record is None
    True
    """
    digest = joblib.hash({name: repr(value) for name, value in sorted(plan.items())})[:12]
    folder = absolute_cache(getattr(memory, "location", memory))
    record = None if folder is None else Path(folder) / RECORD
    found = Registration(digest, _now(), record)
    if record is not None:
        make_folder(record.parent)
        _append(record, {"plan": digest, "time": found.made})
    return found


def _digest_of_labels(outcome: Any) -> str:
    """Return a digest of the labels that does not depend on the order of the cases."""
    return str(joblib.hash(np.sort(np.asarray(outcome), axis=0)))


def _append(record: Path, line: Mapping[str, Any]) -> None:
    """Add a line to the record."""
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _now() -> str:
    """Return the time of day in ISO 8601, with its zone."""
    return pd.Timestamp.now(tz="UTC").isoformat(timespec="seconds")
