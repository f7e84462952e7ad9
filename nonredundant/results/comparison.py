"""The result of a comparison: tables, answer, figures, report and files."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import long_name
from nonredundant.displays.comparison import FeatureSetComparisonDisplay
from nonredundant.displays.names import metric_name, p_text
from nonredundant.inspection.atlas import LatentAtlas
from nonredundant.report.agreement import rows_with
from nonredundant.report.descriptions import where_tested
from nonredundant.report.exports import COLUMN_WIDTHS, save_figures, save_tables
from nonredundant.report.formatting import NOT_ESTIMABLE
from nonredundant.report.methods_text import methods_text
from nonredundant.report.page import write_report
from nonredundant.results.anonymity import anonymised_parts
from nonredundant.results.answer import Evidence, Finding, does_help, is_calibrated, is_new
from nonredundant.results.models import corrected_for_models, is_explained
from nonredundant.results.settings import ComparisonSettings
from nonredundant.statistics.calibration import (
    calibration_summary,
    net_benefit,
    sensitivity_specificity,
)
from nonredundant.utils.files import make_folder, write_text

_TABLES = (
    "scores",
    "summary",
    "tests",
    "graph_tests",
    "attention",
    "redundancy",
    "stability",
    "embeddings",
    "added_information",
    "controls",
    "probability_tests",
    "by_centre",
    "heterogeneity",
    "centre_coding",
    "predictions",
    "history",
    "choices",
    "weights",
    "selected",
    "selection_stability",
)
#: Written as well where a held-out test set stands in the tables above.
_FOLD_TABLES = ("cv_summary", "cv_tests", "cv_predictions")


@dataclass(repr=False, eq=False)
class FeatureSetComparison:
    """Scores, intervals, paired tests and audit of feature sets; made by `compare_feature_sets`.

    Attributes
    ----------
    scores : DataFrame
        `feature_set, classifier, repeat, fold, metric, score`: one row per fold.
    summary : DataFrame
        `feature_set, classifier, metric, mean, sd, low, high, reason`: scores with 95 %
        intervals; of the ensembles on the held-out test set if there is one, else of the folds.
        `reason` says why an interval is not estimable.
    tests : DataFrame
        `feature_set, reference, classifier, metric, estimate, low, high, p_value, p_holm, method,
        reason`: paired differences, on the same samples as `summary`. Differences outside of
        `low` to `high` are excluded.
    cv_summary, cv_tests : DataFrame
        As `summary` and `tests`, of the folds in any case.
    graph_tests : DataFrame
        As `tests`, the graph of lesions against each classifier on pooled lesions, per feature
        set: `reference` names that classifier. Empty without a graph.
    redundancy : DataFrame
        `feature_set, method, estimate, null_mean, null_95, p_value, unit, detectable, detail`:
        dependence between hand-crafted and learned features that estimators trained afresh find
        on held-out folds; columns as in `metrics.redundancy_report`.
    stability : DataFrame
        `column, family, icc, low, high, kept, n_samples, n_repeats, kind, threshold, bound`: the
        agreement of repeated measurements as a step `StableFeatures` found it, means over the
        folds; `kept` is the share of folds that kept the feature. Empty without such a step.
    embeddings : DataFrame
        `embedding, n_columns, n_components, share_of_variance, share_explained, lowest, highest`:
        the components of each given embedding, and the share of their variance that the known
        columns explain, see `results.models`.
    added_information : DataFrame
        `feature_set, reference, classifier, method, statistic, null_95, p_value, p_holm,
        unseen_share, unit, n_permutations, n_samples, reason`: whether learned features say
        something of the outcome beyond all known ones, by three methods of
        `statistics.added_information`; `unseen_share` is that of `statistics.unseen_share`.
    controls : DataFrame
        `control, n_draws, n_claims, p_value, meaning`: the tests of added information of the
        primary set on negative controls, and how often all had p below 0.05.
    probability_tests : DataFrame
        `feature_set, reference, classifier, measure, threshold, estimate, low, high, p_value,
        reason`: paired differences of Brier score, log-loss and net benefit for two classes, on
        the same samples as `tests` and positive where the set is better than its reference; see
        `statistics.probability_differences`.
    by_centre : DataFrame
        `centre, n, events, feature_set, reference, classifier, metric, score, error, low, high,
        difference, difference_error, difference_low, difference_high, p_value, reason`: the first
        metric in each centre that a fold left out (`cv="centre"`), and the paired difference to the
        first reference, with DeLong's errors of the models as given. `events` counts the second
        class, events in time, or the rarest of several classes. Centres that no fold leaves out
        have a `reason` alone.
    heterogeneity : DataFrame
        `feature_set, reference, classifier, metric, what`, then the fields of
        `statistics.Heterogeneity`: how scores and differences vary between these centres; and
        `left_out`, the centres whose estimate is not in the mean, as it has no error.
    centre_coding : DataFrame
        `features`, then the fields of `metrics.CentreCoding`: how well hand-crafted features,
        before and after the steps, and learned ones tell the centre that `centre` names.
    predictions : DataFrame
        `sample, repeat, fold, feature_set, classifier, y, score` (or `score_<class>` for more
        than two classes), on the same samples as `summary`. Scores are probabilities, or the
        margins of a classifier without probabilities. For times to an event `y` is "event" or
        "censored", `time` is added, and the score is a risk.
    cv_predictions : DataFrame
        As `predictions`, out-of-fold in any case.
    choices : DataFrame
        Values chosen by inner cross-validation in each fold: `C` or, for Cox regression,
        `alpha`, `block_weight` (of the learned block), `others` as text (such as a number of
        neighbours, and those of the models in an ensemble or a late fusion), and the decision
        `threshold`.
    weights : DataFrame
        Coefficient or importance of each feature in each fold model.
    selected : DataFrame
        `step, feature, n_chosen, n_fits, share`: in how many folds a step of these, such as
        `SelectFeatures`, chose a feature. Empty without a step that selects.
    selection_stability : DataFrame
        `step, n_features, fewest, most, stability, low, high, n_fits, reason`: how many features
        the steps chose, and how much the folds agree, see `statistics.selection_stability`.
    history : DataFrame
        Losses of each network: `feature_set, repeat, fold, epoch`, then the terms.
    models : dict
        `(feature_set, classifier, repeat, fold)` → fitted classifier.
    networks : dict
        `(variant, repeat, fold)` → fitted transformer of the patches.
    latents : dict of str to DataFrame
        Out-of-fold learned features of each variant, first repeat, indexed by sample. Each fold
        has its own network, so columns of different folds do not correspond.
    atlas : LatentAtlas or None
        Effect of each latent of the first fold's network on the lesions that this fold held
        out; the network of the variant with the independence term, if there is one.
    attention : DataFrame
        Attention of the primary set's graphs of lesions on the patients that each fold of the
        first repeat held out: `fold`, then the columns of `LesionGraphClassifier.explain`. Empty
        without a graph.
    patient_graphs : list of dict
        Arguments of `displays.PatientGraphDisplay` for a few of these patients.
    settings : ComparisonSettings
        What was run, on which cohort, with which versions, and how long it took.
    warnings : list of str
        Warnings that were raised during the comparison.

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
    graph_tests: pd.DataFrame
    redundancy: pd.DataFrame
    stability: pd.DataFrame
    embeddings: pd.DataFrame
    added_information: pd.DataFrame
    controls: pd.DataFrame
    probability_tests: pd.DataFrame
    by_centre: pd.DataFrame
    heterogeneity: pd.DataFrame
    centre_coding: pd.DataFrame
    predictions: pd.DataFrame
    cv_predictions: pd.DataFrame
    choices: pd.DataFrame
    weights: pd.DataFrame
    selected: pd.DataFrame
    selection_stability: pd.DataFrame
    history: pd.DataFrame
    models: dict[tuple[str, str, int, int], Any]
    networks: dict[tuple[str, int, int], Any]
    latents: dict[str, pd.DataFrame]
    atlas: LatentAtlas | None
    attention: pd.DataFrame
    patient_graphs: list[dict[str, Any]]
    settings: ComparisonSettings
    warnings: list[str]

    def __repr__(self) -> str:
        s = self.settings
        return (
            f"FeatureSetComparison({len(s.feature_sets)} feature sets, "
            f"{len(s.classifiers)} classifiers, {s.n_folds} folds, "
            f"{s.cohort.n_samples} samples)\n{self.answer()}"
        )

    def _repr_html_(self) -> str:
        """Return the answer and the scores for a notebook."""
        columns = ["feature_set", "classifier", "metric", "mean", "low", "high"]
        table = self.summary[columns].to_html(
            index=False, float_format="{:.3f}".format, na_rep=NOT_ESTIMABLE
        )
        return f"<p>{html.escape(self.answer())}</p>\n{table}"

    @property
    def primary(self) -> dict[str, str]:
        """The comparison chosen before any result was seen: fused set, reference, classifier."""
        return self.settings.primary

    def answer(self, classifier: str | None = None) -> str:
        """State whether the learned features are new, and whether they help.

        Parameters
        ----------
        classifier : str, optional
            The classifier whose scores are compared; the first by default.

        Returns
        -------
        str
            What the audit saw of hand-crafted features in the learned block; the difference
            between the fused and the hand-crafted features with its interval and the gains that
            it excludes; the tests of added information, and how large an unseen function of known
            features would have to be to explain a claim away; a calibration slope that is far
            from 1. All but the first classifier's p-values are corrected by Holm's method. With
            several embeddings: the same of the models beside the first, corrected for their number.
        """
        texts = [finding.text for finding in self.findings(classifier).values()]
        others = self.findings_of_others(classifier)
        if others:
            corrected = f", p corrected for {len(others)} of them" if len(others) > 1 else ""
            texts.append(f"Beside this primary model{corrected}:")
        for found in others.values():
            texts += [finding.text for finding in found.values()]
        return " ".join(texts)

    def findings_of_others(self, classifier: str | None = None) -> dict[str, dict[str, Finding]]:
        """Return the verdicts on the models beside that of the primary set, as `findings` does.

        Parameters
        ----------
        classifier : str, optional
            The classifier whose scores are compared; the first by default.

        Returns
        -------
        dict of str to dict of str to Finding
            Verdicts by model, an embedding or "network", whose p-values are corrected for the
            number of these models. Empty without given embeddings.
        """
        chosen = {
            model: {**self.primary, "feature_set": name, "reference": reference}
            for model, (name, reference) in self.settings.other_models.items()
        }
        if classifier is not None:
            chosen = {model: {**one, "classifier": classifier} for model, one in chosen.items()}
        evidence = corrected_for_models({m: self._evidence(one) for m, one in chosen.items()})
        return {
            model: {**self._is_new(one), "helps": does_help(evidence[model])}
            for model, one in chosen.items()
        }

    def findings(self, classifier: str | None = None) -> dict[str, Finding]:
        """Return the verdicts of `answer`, each with its sentence.

        Parameters
        ----------
        classifier : str, optional
            The classifier whose scores are compared; the first by default.

        Returns
        -------
        dict of str to Finding
            "new": `answer.is_new`, if the primary set has learned features; "explained": of a
            given embedding, `models.is_explained`; "helps":
            `answer.does_help`; "calibrated": `answer.is_calibrated`, if there is something to
            tell.
        """
        chosen = {**self.primary}
        if classifier is not None:
            chosen["classifier"] = classifier
        found = self._is_new(chosen)
        found["helps"] = does_help(self._evidence(chosen))
        slope = self._slope(chosen)
        calibrated = None if slope is None else is_calibrated(slope)
        return found if calibrated is None else {**found, "calibrated": calibrated}

    def _is_new(self, chosen: dict[str, str]) -> dict[str, Finding]:
        """State what the known features have in common with the learned block of a set."""
        block = self.settings.learned_blocks.get(chosen["feature_set"])
        if block is None or "reference" not in chosen:
            return {}
        explained = is_explained(self.embeddings, block)
        found = {} if explained is None else {"explained": explained}
        return {**found, "new": is_new(self.redundancy, block)}

    def _evidence(self, chosen: dict[str, str]) -> Evidence:
        """Collect the rows of the tables that concern one fused set."""
        at = {key: chosen[key] for key in ("classifier", "metric")}
        test = _row(self.tests, {"reference": "", **chosen})
        reference = None if test is None else test["reference"]
        pair = {"feature_set": chosen["feature_set"], "classifier": chosen["classifier"]}
        fused = _row(self.summary, {"feature_set": chosen["feature_set"], **at})
        if fused is None:
            scored = sorted(self.summary["classifier"].unique())
            raise ValueError(
                f"{chosen['feature_set']} has no score by {chosen['classifier']!r}; the "
                f"classifiers are {scored}"
            )
        return Evidence(
            chosen=chosen,
            fused=fused,
            base=_row(self.summary, {"feature_set": reference, **at}),
            test=test,
            information=rows_with(self.added_information, pair),
            where=where_tested(self.settings),
            added="learned"
            if chosen["feature_set"] in self.settings.learned_blocks
            else "hand-crafted",
            corrected=chosen["classifier"] != self.primary["classifier"],
            selected=not self.selection_stability.empty,
        )

    @property
    def flow(self) -> pd.DataFrame:
        """The cases that were given, could be read, were usable and were analysed.

        One row per stage: `stage, n, reason`; `reason` says how many cases were lost and why.
        """
        return pd.DataFrame(self.settings.flow, columns=["stage", "n", "reason"])

    def graph_answer(self) -> str:
        """State in one sentence whether the graph of lesions is better than pooling.

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
        numbers = f"{row['estimate']:+.3f} against {long_name(row['reference'])} on pooled lesions"
        if np.isnan(row["p_value"]):
            return f"One fold allows no test of the graph of lesions: {numbers}."
        verdict = "There is no evidence that the graph of lesions differs from pooling"
        if row["p_value"] < 0.05:
            better = "better" if row["estimate"] > 0 else "worse"
            verdict = f"The graph of lesions is {better} than pooling"
        return (
            f"{verdict}: {metric_name(chosen['metric'])} {numbers} ({chosen['feature_set']}, in "
            f"cross-validation), {_interval_and_p(row)}."
        )

    def calibration(self) -> pd.DataFrame:
        """Compute calibration and operating points in cross-validation, for two classes.

        Returns
        -------
        DataFrame
            One row per feature set and classifier: `slope, slope_low, slope_high, intercept,
            intercept_low, intercept_high, brier` of the predicted probabilities (means over
            repeats; the slope is NaN where it means nothing), `sensitivity, specificity` at the
            threshold of each fold, which was learned on its training samples. Classifiers without
            probabilities are left out; those without thresholds have no operating point.

        Raises
        ------
        ValueError
            If there are more than two classes, or times to an event.
        """
        positive = self._positive_class("calibration")
        columns = ["feature_set", "classifier", "repeat", "fold"]
        every = self.cv_predictions.merge(self.choices, on=columns)
        rows = []
        for place, group in every.groupby(columns[:2], sort=False):
            if not group["score"].between(0, 1).all():
                continue
            row: dict[Any, Any] = dict(zip(columns[:2], place, strict=True))
            row |= _calibration(group, positive)
            # A model without inner splits, such as the graph, has no threshold.
            above = group["score"].to_numpy() - group["threshold"].to_numpy()
            if not np.isnan(above).any():
                truth = (group["y"].astype(str) == positive).to_numpy().astype(int)
                row |= sensitivity_specificity(truth, above, 0.0)
            rows.append(row)
        return pd.DataFrame(rows)

    def _slope(self, chosen: dict[str, str]) -> pd.Series | None:
        """Return the calibration of one set; None without probabilities of two classes."""
        if len(self.settings.classes) != 2:
            return None
        place = {name: chosen[name] for name in ("feature_set", "classifier")}
        own = rows_with(self.cv_predictions, place)
        if own.empty or not own["score"].between(0, 1).all():
            return None
        return pd.Series(_calibration(own, self._positive_class("calibration")))

    def decision_curve(self, thresholds: Any = None) -> pd.DataFrame:
        """Compute the net benefit of each feature set over thresholds, for two classes.

        Parameters
        ----------
        thresholds : array, optional
            Probabilities above which a patient would be treated; 0.05 to 0.95 by default.

        Returns
        -------
        DataFrame
            `feature_set, classifier`, then the columns of `statistics.net_benefit`.

        Raises
        ------
        ValueError
            If there are more than two classes, or times to an event.
        """
        positive = self._positive_class("the decision curve")
        thresholds = np.linspace(0.05, 0.95, 19) if thresholds is None else thresholds
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

    def _positive_class(self, what: str) -> str:
        """Return the second of two classes.

        Raises
        ------
        ValueError
            If there are not two classes.
        """
        classes = self.settings.classes
        if len(classes) != 2:
            raise ValueError(f"{what} is defined for two classes, got {classes}")
        return classes[1]

    def plot(self, **kwargs: Any) -> FeatureSetComparisonDisplay:
        """Draw a forest plot of scores and paired differences.

        Parameters
        ----------
        **kwargs
            Passed to `FeatureSetComparisonDisplay.from_comparison`.

        Returns
        -------
        FeatureSetComparisonDisplay
            The display, with `ax_` and `figure_`.
        """
        return FeatureSetComparisonDisplay.from_comparison(self, **kwargs)

    def savefig(
        self,
        folder: str | os.PathLike[str],
        *,
        widths: Sequence[float] = COLUMN_WIDTHS,
        anonymise: bool = False,
    ) -> list[Path]:
        """Save figures, tables and the text of the methods for a paper.

        Parameters
        ----------
        folder : str or path-like
            Created if necessary.
        widths : sequence of float
            Widths of the figures in millimetres: one and two columns of a journal by default.
        anonymise : bool, default=False
            Leave out the ids of samples, see `anonymised`.

        Returns
        -------
        list of Path
            The files: those of `report.save_figures` (SVG and PDF) and of `report.save_tables`
            (CSV, HTML for word processors, LaTeX, and ``methods.txt``).
        """
        shown = self.anonymised() if anonymise else self
        return save_figures(shown, folder, widths) + save_tables(shown, folder)

    def methods_text(self) -> str:
        """Return a text for the methods part of a paper, see `report.methods_text`."""
        return methods_text(self)

    def anonymised(self) -> FeatureSetComparison:
        """Return the same results without the ids of samples and the paths of their files.

        Ids are replaced by numbers in tables, figures, messages and reasons, consistently; a
        message that names a file is left out. Scores, tests and models do not change: no model
        holds ids. Clinical values and pictures of lesions remain.

        Returns
        -------
        FeatureSetComparison
            The comparison to pass on.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from nonredundant import LesionTable, compare_feature_sets
        >>> y = np.repeat([0, 1], 30)
        >>> rows = pd.DataFrame({"uptake": y + np.sin(np.arange(60))})
        >>> table = LesionTable(rows, index=[f"Doe-{i}" for i in range(60)])
        >>> found = compare_feature_sets(
        ...     table, y, feature_sets=["HCR"], classifiers="LR", baselines=False, random_state=0
        ... )
        >>> found.anonymised().predictions["sample"].iloc[0]
        'case 01'
        """
        return replace(self, **anonymised_parts(self))

    def to_html(self, path: str | os.PathLike[str], *, anonymise: bool = False) -> Path:
        """Write the report: one file that loads nothing from a network.

        Parameters
        ----------
        path : str or path-like
            The HTML file; its folder is created if necessary.
        anonymise : bool, default=False
            Leave out the ids of samples, see `anonymised`.

        Returns
        -------
        Path
            The file.
        """
        path = Path(path)
        make_folder(path.parent)
        write_report(self.anonymised() if anonymise else self, path)
        return path

    def to_csv(self, folder: str | os.PathLike[str], *, anonymise: bool = False) -> Path:
        """Write every table as CSV, the settings as JSON and the warnings as text.

        Tables of an earlier comparison that this one does not have are removed; other files in
        the folder stay.

        Parameters
        ----------
        folder : str or path-like
            Created if necessary.
        anonymise : bool, default=False
            Leave out the ids of samples, see `anonymised`. By default they are in the tables of
            predictions, which are meant to be joined with your own.

        Returns
        -------
        Path
            The folder.
        """
        if anonymise:
            return self.anonymised().to_csv(folder)
        folder = make_folder(folder)
        names = (*_TABLES, *(_FOLD_TABLES if self.settings.n_test else ()))
        tables = {name: getattr(self, name) for name in names}
        if self.atlas is not None:
            tables["atlas"] = self.atlas.table
        for name in {*_TABLES, *_FOLD_TABLES, "atlas"} - set(tables):
            (folder / f"{name}.csv").unlink(missing_ok=True)
        for name, table in tables.items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
        settings = json.dumps(self.settings.to_dict(), indent=2, default=str)
        write_text(folder / "settings.json", settings)
        lines = [self.answer(), "", *self.warnings]
        write_text(folder / "answer.txt", "\n".join(lines) + "\n")
        return folder


def _calibration(predictions: pd.DataFrame, positive: str) -> dict[Any, float]:
    """Return the calibration of the predictions of one set and classifier, mean over repeats."""
    truth = (predictions["y"].astype(str) == positive).to_numpy().astype(int)
    score, repeat = predictions["score"].to_numpy(), predictions["repeat"].to_numpy()
    repeats = [
        calibration_summary(truth[repeat == r], score[repeat == r]) for r in np.unique(repeat)
    ]
    return pd.DataFrame(repeats).mean().to_dict()


def _row(table: pd.DataFrame, values: Mapping[str, Any]) -> pd.Series | None:
    """Return the first row with these values; None if there is none."""
    own = rows_with(table, values)
    return None if own.empty else own.iloc[0]


def _interval_and_p(row: pd.Series) -> str:
    """Format the interval and the p-value of a paired difference."""
    interval = f"95 % interval {row['low']:+.3f} to {row['high']:+.3f}"
    return f"{interval}, {p_text(row['p_value'])}"
