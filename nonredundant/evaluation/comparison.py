"""`FeatureSetComparison`: what a comparison found, as tables, one sentence, pictures and files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.comparison import FeatureSetComparisonDisplay
from nonredundant.inspection.atlas import LatentAtlas
from nonredundant.report.page import write_report

_LONG = {
    "LR": "logistic regression",
    "SVM": "support vector machine",
    "RF": "random forest",
    "Cox": "ridge Cox regression",
    "RSF": "random survival forest",
    "graph": "graph of lesions",
}
_METRICS = {
    "roc_auc": "AUC",
    "roc_auc_ovr": "AUC (one against the rest)",
    "concordance_index": "concordance index",
}
_TABLES = (
    "scores",
    "summary",
    "tests",
    "pooled_tests",
    "graph_tests",
    "attention",
    "redundancy",
    "predictions",
    "history",
    "choices",
    "weights",
)


class FeatureSetComparison:
    """Scores, intervals, paired tests and audit of feature sets; made by `compare_feature_sets`.

    Parameters
    ----------
    **parts
        The attributes below.

    Attributes
    ----------
    scores : DataFrame
        `feature_set, classifier, repeat, fold, metric, score`: one row a fold.
    summary : DataFrame
        `feature_set, classifier, metric, mean, sd, low, high`: 95 % intervals. With a held-out
        test set it is about the ensembles on that set; `cv_summary` is about the folds.
    tests : DataFrame
        `feature_set, reference, classifier, metric, estimate, low, high, p_value, p_holm,
        method`: paired differences. `cv_tests` is about the folds in any case.
    pooled_tests : DataFrame
        As `tests`, by DeLong on pooled out-of-fold predictions: a second opinion.
    graph_tests : DataFrame
        As `tests`, the graph of lesions against each classifier on pooled lesions, set by set:
        `reference` names that classifier. Empty without a graph.
    redundancy : DataFrame
        `feature_set, method, estimate, null_mean, null_95, p_value, unit`: what fresh estimators
        find shared between hand-crafted and learned features on held-out folds.
    predictions : DataFrame
        `sample, repeat, fold, feature_set, classifier, y, score` (or `score_<class>` for more
        than two classes). Probabilities, or margins of a classifier without them. Times to an
        event have `y` "event" or "censored", their `time`, and a risk as score.
    choices : DataFrame
        What inner cross-validation chose in each fold: `C` or, of Cox regression, `alpha`,
        `block_weight` (0: the learned block was left out) and the decision `threshold`.
    weights : DataFrame
        Coefficient or importance of each feature in each fold model.
    models : dict
        `(feature_set, classifier, repeat, fold)` → fitted classifier.
    networks : dict
        `(variant, repeat, fold)` → fitted transformer of the patches.
    latents : dict of str to DataFrame
        Out-of-fold learned features of each variant, first repeat, indexed by sample; each fold
        has its own network, so columns of different folds do not mean the same.
    history : DataFrame
        Losses of each network: `feature_set, repeat, fold, epoch`, then the terms.
    atlas : LatentAtlas or None
        What each latent of the first fold's network does on its held-out lesions: the network
        of the variant with the independence term, if there is one.
    attention : DataFrame
        What the primary set's graphs of lesions looked at in the patients that each fold of the
        first repeat held out: `fold`, then the columns of `LesionGraphClassifier.explain`. Empty
        without a graph.
    patient_graphs : list of dict
        Arguments of `displays.PatientGraphDisplay` for a few of these patients.
    settings : dict
        What was run, on whom, with which versions, and how long it took (JSON types).
    warnings : list of str
        Warnings that were raised on the way.

    Examples
    --------
    >>> from nonredundant import compare_feature_sets, LesionTable
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=60)}))
    >>> found = compare_feature_sets(
    ...     table, y, feature_sets=["HCR"], classifiers="LR", baselines=False, random_state=0
    ... )
    >>> found.summary.round(2)[["feature_set", "classifier", "metric", "mean"]]
      feature_set classifier   metric  mean
    0         HCR         LR  roc_auc   ...
    """

    scores: pd.DataFrame
    summary: pd.DataFrame
    tests: pd.DataFrame
    cv_summary: pd.DataFrame
    cv_tests: pd.DataFrame
    pooled_tests: pd.DataFrame
    graph_tests: pd.DataFrame
    redundancy: pd.DataFrame
    predictions: pd.DataFrame
    cv_predictions: pd.DataFrame
    choices: pd.DataFrame
    weights: pd.DataFrame
    history: pd.DataFrame
    models: dict[tuple[str, str, int, int], Any]
    networks: dict[tuple[str, int, int], Any]
    latents: dict[str, pd.DataFrame]
    atlas: LatentAtlas | None
    attention: pd.DataFrame
    patient_graphs: list[dict[str, Any]]
    settings: dict[str, Any]
    warnings: list[str]

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    def __repr__(self) -> str:
        s = self.settings
        return (
            f"FeatureSetComparison({len(s['feature_sets'])} feature sets, "
            f"{len(s['classifiers'])} classifiers, {s['n_folds']} folds, "
            f"{s['cohort']['n_samples']} samples)\n{self.answer()}"
        )

    @property
    def primary(self) -> dict[str, str]:
        """The comparison that was asked for before looking: fused set, reference, classifier."""
        return self.settings["primary"]

    def answer(self, classifier: str | None = None) -> str:
        """Return the finding as one plain sentence.

        Parameters
        ----------
        classifier : str, optional
            The classifier that it speaks of; the first by default.

        Returns
        -------
        str
            Gain of the fused over the hand-crafted features, interval and p.
        """
        chosen = {**self.primary}
        if classifier is not None:
            chosen["classifier"] = classifier
        name, metric = _LONG.get(chosen["classifier"], chosen["classifier"]), chosen["metric"]
        short = _METRICS.get(metric, metric)
        where = "on the held-out test set" if self.settings["n_test"] else "in cross-validation"
        row = self._row(self.tests, chosen)
        if row is None:
            best = self._mean(chosen["feature_set"], chosen)
            return f"{chosen['feature_set']} with {name} reached {short} {best:.3f} {where}."
        base = self._mean(row["reference"], chosen)
        fused = self._mean(chosen["feature_set"], chosen)
        numbers = (
            f"{short} {base:.3f} with {row['reference']}, {fused:.3f} with "
            f"{chosen['feature_set']} ({name}, {where})"
        )
        if np.isnan(row["p_value"]):
            return f"One fold allows no test: {numbers}; {row['estimate']:+.3f}."
        gain = (
            f"{row['estimate']:+.3f}, 95 % interval {row['low']:+.3f} to {row['high']:+.3f}, "
            f"{_p(row['p_value'])}"
        )
        if not row["p_value"] < 0.05:
            return f"There is no evidence of a gain from the deep features: {numbers}; {gain}."
        verdict = "raised" if row["estimate"] > 0 else "lowered"
        return f"The deep features {verdict} the {short}: {numbers}; {gain}."

    def graph_answer(self) -> str:
        """Return whether the graph of lesions is better than pooling, as one plain sentence.

        Returns
        -------
        str
            Difference of the primary set to the first classifier on pooled lesions, interval and
            p; empty without a graph or without another classifier.
        """
        chosen = self.primary
        t = self.graph_tests
        own = t[(t["feature_set"] == chosen["feature_set"]) & (t["metric"] == chosen["metric"])]
        if own.empty:
            return ""
        row = own.iloc[0]
        other = _LONG.get(row["reference"], row["reference"])
        numbers = f"{row['estimate']:+.3f} against {other} on pooled lesions"
        if np.isnan(row["p_value"]):
            return f"One fold allows no test of the graph of lesions: {numbers}."
        verdict = "There is no evidence that the graph of lesions differs from pooling"
        if row["p_value"] < 0.05:
            better = "better" if row["estimate"] > 0 else "worse"
            verdict = f"The graph of lesions is {better} than pooling"
        return (
            f"{verdict}: {_METRICS.get(chosen['metric'], chosen['metric'])} {numbers} "
            f"({chosen['feature_set']}, in cross-validation), 95 % interval {row['low']:+.3f} to "
            f"{row['high']:+.3f}, {_p(row['p_value'])}."
        )

    def _row(self, table: pd.DataFrame, chosen: dict[str, str]) -> Any:
        """Return the row of the primary comparison, if there is one."""
        match = np.ones(len(table), dtype=bool)
        for column in ("feature_set", "reference", "classifier", "metric"):
            match &= (table[column] == chosen.get(column)).to_numpy()
        return table[match].iloc[0] if match.any() else None

    def _mean(self, feature_set: str, chosen: dict[str, str]) -> float:
        """Return the mean score of a set."""
        s = self.summary
        match = (s["feature_set"] == feature_set) & (s["metric"] == chosen["metric"])
        return float(s[match & (s["classifier"] == chosen["classifier"])]["mean"].iloc[0])

    def calibration(self) -> pd.DataFrame:
        """Return calibration and the operating point chosen inside the folds, for two classes.

        Returns
        -------
        DataFrame
            One row a set and classifier: `slope, intercept, brier` of the predicted
            probabilities (the mean over repeats), `sensitivity, specificity` at each fold's own
            threshold, learned on its training rows.

        Raises
        ------
        ValueError
            If there are more than two classes.
        """
        from nonredundant.statistics.calibration import calibration_summary, sensitivity_specificity

        self._only_binary("calibration")
        positive = self.settings["classes"][1]
        columns = ["feature_set", "classifier", "repeat", "fold"]
        every = self.cv_predictions.merge(self.choices, on=columns)
        rows = []
        for place, group in every.groupby(columns[:2], sort=False):
            if not group["score"].between(0, 1).all():
                continue
            above = (group["score"] - group["threshold"]).to_numpy()
            known = not np.isnan(above).any()
            truth = (group["y"].astype(str) == positive).to_numpy().astype(int)
            repeats = [
                calibration_summary(truth[rows_], group["score"].to_numpy()[rows_])
                for rows_ in (
                    np.flatnonzero(group["repeat"] == r) for r in group["repeat"].unique()
                )
            ]
            fit: dict[Any, float] = pd.DataFrame(repeats).mean().to_dict()
            head = dict(zip(columns[:2], place, strict=True))
            # A model without inner splits, such as the graph, has no threshold.
            operating = sensitivity_specificity(truth, above, 0.0) if known else {}
            rows.append({**head, **fit, **operating})
        return pd.DataFrame(rows)

    def decision_curve(self, thresholds: Any = None) -> pd.DataFrame:
        """Return the net benefit of each set over thresholds, for two classes.

        Parameters
        ----------
        thresholds : array, optional
            Probabilities at which one would act; 0.05 to 0.95 by default.

        Returns
        -------
        DataFrame
            `feature_set, classifier`, then the columns of `statistics.net_benefit`.

        Raises
        ------
        ValueError
            If there are more than two classes.
        """
        from nonredundant.statistics.calibration import net_benefit

        self._only_binary("the decision curve")
        thresholds = np.linspace(0.05, 0.95, 19) if thresholds is None else thresholds
        positive = self.settings["classes"][1]
        parts = []
        for place, group in self.predictions.groupby(["feature_set", "classifier"], sort=False):
            group = group[group["repeat"] == group["repeat"].min()]
            if group["score"].between(0, 1).all():
                truth = (group["y"].astype(str) == positive).to_numpy().astype(int)
                part = net_benefit(truth, group["score"].to_numpy(), thresholds)
                part.insert(0, "feature_set", str(place[0]))
                part.insert(1, "classifier", str(place[1]))
                parts.append(part)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _only_binary(self, what: str) -> None:
        """Raise for more than two classes."""
        if len(self.settings["classes"]) != 2:
            raise ValueError(f"{what} is defined for two classes, got {self.settings['classes']}")

    def plot(self, **kwargs: Any) -> Any:
        """Draw the sets' scores as a forest plot.

        Parameters
        ----------
        **kwargs
            Handed to `FeatureSetComparisonDisplay.from_comparison`.

        Returns
        -------
        FeatureSetComparisonDisplay
            The display, with `ax_` and `figure_`.
        """
        return FeatureSetComparisonDisplay.from_comparison(self, **kwargs)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one file that needs no network.

        Parameters
        ----------
        path : str or path-like
            The HTML file; its folder is made if need be.

        Returns
        -------
        Path
            The file.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(self, path)
        return path

    def to_csv(self, folder: str | os.PathLike[str]) -> Path:
        """Write every table as CSV, the settings as JSON and the warnings as text.

        Parameters
        ----------
        folder : str or path-like
            Made if need be.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in _TABLES:
            getattr(self, name).to_csv(folder / f"{name}.csv", index=False)
        if self.atlas is not None:
            self.atlas.table.to_csv(folder / "atlas.csv", index=False)
        if self.settings["n_test"]:
            for name in ("cv_summary", "cv_tests", "cv_predictions"):
                getattr(self, name).to_csv(folder / f"{name}.csv", index=False)
        (folder / "settings.json").write_text(
            json.dumps(self.settings, indent=2, default=str), encoding="utf-8"
        )
        lines = [self.answer(), "", *self.warnings]
        (folder / "answer.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder


def _p(value: float) -> str:
    """Return a p-value as papers write it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
