"""What a fitted model is worth on a cohort that it has not seen: tables, picture, answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import long_name
from nonredundant.displays import style as look
from nonredundant.displays.calibration import CalibrationBandDisplay
from nonredundant.displays.names import p_text
from nonredundant.displays.net_benefit import NetBenefitDisplay
from nonredundant.report.formatting import format_estimate, format_interval
from nonredundant.report.validation_page import write_validation_page
from nonredundant.utils.files import make_folder, write_text

#: Number of columns that a message names.
_SHOWN = 10
_TABLES = ("scores", "gain", "net_benefit", "coverage", "predictions", "training")


@dataclass(frozen=True)
class ModelValidation:
    """A fitted model on an external cohort; made by `validate_model`.

    Intervals are of 95 % and take the model as given.

    Attributes
    ----------
    scores : DataFrame
        `model, class, measure, ideal, estimate, low, high, reason`: AUC or concordance, and
        calibration in the large, slope and Brier score, of the model and of its known features
        alone. Of times: observed over expected events, and slope, for Cox regressions.
    gain : DataFrame
        `measure, threshold, estimate, low, high, p_value, reason`: the model minus its known
        features alone, positive where the learned ones help; empty without a reference.
    net_benefit : DataFrame
        `model, threshold, net_benefit, low, high, over_all, over_all_low, over_all_high`: against
        treating no case and against treating all; empty unless there are two classes.
    coverage : DataFrame
        `cases, n, nominal, estimate, low, high, mean_size, share_single, share_empty`: how many
        conformal sets hold the class of their case; empty without sets.
    predictions : DataFrame
        Outcome, predictions, set, `status` and `outside` of each case.
    training : DataFrame
        `FeatureSetClassifier.performance`: the scores in the folds of the training cohort.
    settings : dict
        Names of model, reference and classifier, numbers of cases, columns that are missing in all
        of them, which the model imputes, and the date.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.evaluation import FeatureSetClassifier, validate_model
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 100)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=200)}))
    >>> model = FeatureSetClassifier("HCR", random_state=0).fit(table[:100], y[:100])
    >>> print(validate_model(model, table[100:], y[100:]).answer().splitlines()[0])
    HCR with logistic regression, fitted on 100 cases, on 100 others: AUC 0.802 (0.704 to 0.874).
    """

    scores: pd.DataFrame
    gain: pd.DataFrame
    net_benefit: pd.DataFrame
    coverage: pd.DataFrame
    predictions: pd.DataFrame
    training: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)

    def answer(self) -> str:
        """Say in words how the model does on this cohort, one sentence or two a line."""
        lines = [self._discrimination(), self._gain(), self._calibration(), self._coverage()]
        n_outside, n = self.settings["n_outside"], self.settings["n"]
        lines.append(describe_missing(self.settings["missing"], n))
        if n_outside:
            lines.append(
                f"{n_outside} of {n} cases lie outside of the training cohort: the model does not "
                "know cases like these."
            )
        return "\n".join(line for line in lines if line)

    def probabilities(self) -> dict[str, np.ndarray]:
        """Return the probability of the second class of the cases that were read, by model.

        Returns
        -------
        dict of str to array
            Empty unless there are two classes and all models have probabilities.
        """
        if self.net_benefit.empty:
            return {}
        positive = self.settings["classes"][1]
        fine = self.predictions["status"] == "ok"
        names = [self.settings["feature_set"], self.settings["reference"]]
        columns = [f"p_{positive}", f"reference_p_{positive}"]
        return {
            str(name): self.predictions.loc[fine, column].to_numpy()
            for name, column in zip(names, columns, strict=True)
            if column in self.predictions
        }

    def truth(self) -> np.ndarray:
        """Return which of the cases that were read are of the second class."""
        fine = self.predictions["status"] == "ok"
        return (self.predictions.loc[fine, "y"] == self.settings["classes"][1]).to_numpy()

    def plot(self, ax: Any = None, *, title: str = "") -> Any:
        """Draw calibration and net benefit side by side.

        Parameters
        ----------
        ax : Axes, optional
            Axes in whose place the panels are drawn; a new figure by default.
        title : str
            Name of the cohort.

        Returns
        -------
        Figure
            The figure.

        Raises
        ------
        ValueError
            Unless there are two classes with probabilities.
        """
        scores = self.probabilities()
        if not scores:
            raise ValueError(
                "calibration and net benefit are drawn for two classes with probabilities"
            )
        host, grid = look.panels(ax, 1, 2, (9, 4.4))
        truth = self.truth()
        CalibrationBandDisplay.from_predictions(truth, scores, ax=grid[0, 0])
        NetBenefitDisplay.from_predictions(truth, scores, ax=grid[0, 1])
        grid[0, 0].set_title(title, fontsize=look.TITLE, loc="left")
        return host.figure

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one HTML file that loads nothing.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        Path
            The file.
        """
        return write_validation_page(self, path)

    def to_csv(self, folder: str | os.PathLike[str]) -> Path:
        """Write the tables as CSV, the settings as JSON and the answer as text.

        Parameters
        ----------
        folder : str or path-like
            Created if necessary. The ids of the cases are in `predictions.csv`.

        Returns
        -------
        Path
            The folder.
        """
        folder = make_folder(folder)
        for name in _TABLES:
            table, by_case = getattr(self, name), name == "predictions"
            label = "sample" if by_case else None
            write_text(folder / f"{name}.csv", table.to_csv(index=by_case, index_label=label))
        write_text(folder / "settings.json", json.dumps(self.settings, indent=2, default=str))
        write_text(folder / "answer.txt", self.answer() + "\n")
        return folder

    def _row(self, measure: str) -> pd.Series | None:
        """Return the first row of a measure of the model; None if it is not estimable."""
        own = self.scores[self.scores["model"] == self.settings["feature_set"]]
        own = own[own["measure"] == measure].dropna(subset=["low", "high"])
        return None if own.empty else own.iloc[0]

    def _discrimination(self) -> str:
        """Tell the score, and that of the training cohort's folds."""
        s, first = self.settings, self.scores.iloc[0]
        found = (
            f"{s['feature_set']} with {long_name(s['classifier'])}, fitted on {s['n_trained']} "
            f"cases, on {s['n']} others: {first['measure']} {format_estimate(first)}"
        )
        if self.training.empty:
            return f"{found}."
        before = self.training.iloc[0]
        return f"{found}; in the folds of its training cohort {format_estimate(before)}."

    def _gain(self) -> str:
        """Tell what the learned features add."""
        if self.gain.empty:
            return ""
        first, reference = self.gain.iloc[0], self.settings["reference"]
        estimate = f"{first['measure']} {format_estimate(first, signed=True)}"
        if np.isnan(first["low"]):
            return f"Its learned features beyond {reference}: {estimate}."
        p = p_text(first["p_value"])
        verdict = "whether they help here is open"
        if first["low"] > 0:
            verdict = "they help here"
        elif first["high"] < 0:
            verdict = "they harm here"
        return f"Its learned features beyond {reference}: {estimate}, {p}; {verdict}."

    def _calibration(self) -> str:
        """Tell whether predictions are too high or too extreme."""
        large, slope = self._row("calibration in the large"), self._row("calibration slope")
        ratio, slope_times = self._row("observed / expected"), self._row("slope")
        level = large if large is not None else ratio
        spread = slope if slope is not None else slope_times
        if level is None or len(self.settings["classes"]) > 2:
            return ""
        name = "intercept" if large is not None else "observed / expected events"
        parts = [_verdict(level, name, "too low on average", "too high on average")]
        if spread is not None:
            parts.append(_verdict(spread, "slope", "too moderate", "too extreme"))
        known = [part for part in parts if part]
        if known:
            return f"Predictions are {' and '.join(known)}: recalibrate before use here."
        numbers = [f"{name} {level['estimate']:.2f}{_interval(level)}"]
        if spread is not None:
            numbers.append(f"slope {spread['estimate']:.2f}{_interval(spread)}")
        n = self.settings["n"]
        return f"As far as {n} cases can tell, predictions are calibrated: {', '.join(numbers)}."

    def _coverage(self) -> str:
        """Tell whether the conformal sets keep what they promise."""
        if self.coverage.empty:
            return ""
        row = self.coverage.iloc[0]
        text = (
            f"Conformal sets hold the class of {100 * row['estimate']:.0f} % of the cases "
            f"({100 * row['low']:.0f} to {100 * row['high']:.0f} %), {100 * row['nominal']:.0f} % "
            "were promised"
        )
        short = self.coverage[self.coverage["high"] < self.coverage["nominal"]]
        if short.empty:
            return f"{text}."
        names = ", ".join(f"{one} cases" if one == "all" else f"class {one}" for one in short.cases)
        return f"{text}: they fail here ({names}), as this cohort is unlike that of the training."


def describe_missing(names: Sequence[str], n: int) -> str:
    """Say which columns of a model no case has; nothing if there are none.

    Examples
    --------
    >>> describe_missing(["age", "volume"], 70)
    'The model imputes 2 columns, which are missing in all 70 cases: age, volume.'
    """
    if not names:
        return ""
    what = "1 column, which is" if len(names) == 1 else f"{len(names)} columns, which are"
    shown = f"{', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
    return f"The model imputes {what} missing in all {n} cases: {shown}."


def _interval(row: Any) -> str:
    """Write an interval in brackets."""
    return f" ({format_interval(row['low'], row['high'])})"


def _verdict(row: Any, name: str, above: str, below: str) -> str:
    """Say on which side of its ideal value a measure lies; nothing if that is open."""
    numbers = f"{name} {row['estimate']:.2f}{_interval(row)}"
    if row["low"] > row["ideal"]:
        return f"{above} ({numbers})"
    return f"{below} ({numbers})" if row["high"] < row["ideal"] else ""
