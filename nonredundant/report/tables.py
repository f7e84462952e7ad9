"""The tables of the report, as text cells: what a reader sees of a comparison's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nonredundant.displays.redundancy import METHOD_NAMES
from nonredundant.displays.style import metric_name

NOTHING = "–"
#: Sets that need no network: what a reviewer asks for before believing in one.
SIMPLE_SETS = ("clinical", "volume", "max intensity", "volume + max intensity", "dissemination")
_BOUNDED = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "jaccard",
    "precision",
    "recall",
    "roc_auc",
)


class Column(NamedTuple):
    """A column: its head, how a row's cell is written, whether cells are numbers."""

    head: str
    show: Callable[[Any], str]
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """Text cells; the first of each row names it. `marked` rows are the primary comparison's."""

    heads: Sequence[str]
    numbers: Sequence[bool]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: frozenset[int] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.rows)


def number(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """Return a number with fixed decimals; a dash for one that is not known."""
    if value is None or np.isnan(value):
        return NOTHING
    # What rounds to nothing has no sign.
    value = round(float(value), digits) + 0.0
    return f"{value:{'+' if signed and value else ''}.{digits}f}"


def interval(low: Any, high: Any, *, signed: bool = False) -> str:
    """Return an interval; a dash if there is none."""
    ends = [number(end, signed=signed) for end in (low, high)]
    return NOTHING if NOTHING in ends else " to ".join(ends)


def p_value(value: float) -> str:
    """Return a p-value as papers write it, without the letter."""
    return "< 0.001" if value < 0.001 else number(value)


def compact(value: float) -> str:
    """Return a number in as few digits as tell its size."""
    return NOTHING if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def cells(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    caption: str = "",
    *,
    marked: Mapping[str, str] | None = None,
) -> Table:
    """Return a frame as text; rows that hold all values of `marked` are marked."""
    rows = [[column.show(row) for column in columns] for _, row in frame.iterrows()]
    chosen = np.zeros(len(frame), dtype=bool)
    if marked:
        chosen = np.all([(frame[name] == value).to_numpy() for name, value in marked.items()], 0)
    return Table(
        [column.head for column in columns],
        [column.is_number for column in columns],
        rows,
        caption,
        frozenset(np.flatnonzero(chosen).tolist()),
    )


def pairs(rows: Iterable[tuple[str, Any]]) -> Table:
    """Return a table of names and values, those without a value left out."""
    kept = [[name, str(value)] for name, value in rows if value not in (None, "", NOTHING)]
    return Table(["", ""], [False, False], kept)


def text_of(name: str, head: str) -> Column:
    """Return a column of text."""
    return Column(head, lambda row: str(row[name]), False)


_SET, _CLASSIFIER = text_of("feature_set", "feature set"), text_of("classifier", "classifier")
_METRIC = Column("metric", lambda row: metric_name(row["metric"]), False)
_METHOD = text_of("method", "method")
_DIFFERENCE = (
    Column("difference", lambda row: number(row["estimate"], signed=True)),
    Column("95 % interval", lambda row: interval(row["low"], row["high"], signed=True)),
    Column("p", lambda row: p_value(row["p_value"])),
    Column("p (Holm)", lambda row: p_value(row["p_holm"])),
)


def summary_table(summary: pd.DataFrame, primary: Mapping[str, str], caption: str) -> Table:
    """Return score and interval of each set."""
    metric, caption = _varying(summary, "metric", _METRIC, caption)
    columns = [
        _SET,
        _CLASSIFIER,
        *metric,
        Column("score", lambda row: number(row["mean"])),
        Column("95 % interval", lambda row: interval(row["low"], row["high"])),
    ]
    if summary["sd"].notna().any():
        columns.append(Column("sd over folds", lambda row: number(row["sd"])))
    marked = {name: primary[name] for name in ("feature_set", "classifier", "metric")}
    return cells(summary, columns, caption, marked=marked)


def _varying(
    frame: pd.DataFrame, name: str, column: Column, caption: str
) -> tuple[list[Column], str]:
    """Return a column if it varies; else none, and the caption that tells its one value."""
    if frame[name].nunique() != 1:
        return [column], caption
    return [], f"{caption}, {column.show(frame.iloc[0])}"


def outside_range(summary: pd.DataFrame) -> bool:
    """Whether an interval leaves the range of a metric that lies between 0 and 1."""
    own = summary[summary["metric"].str.startswith(_BOUNDED)]
    return bool(((own["high"] > 1) | (own["low"] < 0)).any())


def difference_table(tests: pd.DataFrame, primary: Mapping[str, str], caption: str) -> Table:
    """Return the paired tests."""
    metric, caption = _varying(tests, "metric", _METRIC, caption)
    method, caption = _varying(tests, "method", _METHOD, caption)
    columns = [_SET, text_of("reference", "against"), _CLASSIFIER, *metric, *_DIFFERENCE, *method]
    return cells(tests, columns, caption, marked=primary)


def best_simple(comparison: Any) -> str:
    """Return the set without a network that scored best; nothing if there is none."""
    primary = comparison.primary
    summary = _at(comparison.summary, {name: primary[name] for name in ("classifier", "metric")})
    simple = summary[summary["feature_set"].isin(SIMPLE_SETS)]
    return "" if simple.empty else str(simple.set_index("feature_set")["mean"].idxmax())


def first_table(comparison: Any) -> Table:
    """Return the sets that the answer speaks of, and the best of those without a network."""
    primary = comparison.primary
    at = {name: primary[name] for name in ("classifier", "metric")}
    summary = _at(comparison.summary, at)
    tests = _at(comparison.tests, {**at, "feature_set": primary["feature_set"]})
    best = best_simple(comparison)
    names = [*tests["reference"], primary["feature_set"], *([best] if best else [])]
    own = summary.set_index("feature_set").loc[list(dict.fromkeys(names))].reset_index()
    # Without a fused set the primary one is what the others were tested against.
    reference = primary.get("reference", primary["feature_set"])
    versus = _at(comparison.tests, {**at, "reference": reference})
    own = own.merge(
        versus[["feature_set", "estimate", "low", "high", "p_value", "p_holm"]],
        on="feature_set",
        how="left",
        suffixes=("", "_difference"),
    )

    columns = [
        _SET,
        Column(metric_name(primary["metric"]), lambda row: number(row["mean"])),
        Column("95 % interval", lambda row: interval(row["low"], row["high"])),
    ]
    if own["estimate"].notna().any():
        gain = Column(f"gain over {reference}", lambda row: number(row["estimate"], signed=True))
        columns += [gain, Column("p", lambda row: p_value(row["p_value"]))]
    return cells(own, columns, marked={"feature_set": primary["feature_set"]})


def _at(table: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows with the chosen values."""
    for name, value in chosen.items():
        table = table[table[name] == value]
    return table


def other_looks(comparison: Any) -> pd.DataFrame:
    """Return the primary difference as other classifiers and other tests see it.

    The first row is the primary comparison itself; `agrees` tells whether a row has its verdict.
    """
    primary = comparison.primary
    if "reference" not in primary:
        return comparison.tests[:0].assign(look="", agrees=True)
    sources = [("", comparison.tests), ("", comparison.pooled_tests)]
    if comparison.settings["n_test"]:
        sources.insert(1, ("folds: ", comparison.cv_tests))
    parts = []
    for name, tests in sources:
        own = _at(tests, {key: value for key, value in primary.items() if key != "classifier"})
        parts.append(own.assign(look=name + own["method"]))
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        return found.assign(agrees=True)
    first = found["classifier"] == primary["classifier"]
    found = pd.concat([found[first], found[~first]], ignore_index=True)
    verdict = np.where(found["p_value"] < 0.05, np.sign(found["estimate"]), 0)
    return found.assign(agrees=verdict == verdict[0])


def looks_table(looks: pd.DataFrame, caption: str) -> Table:
    """Return the other looks at the primary difference."""
    columns = [
        _CLASSIFIER,
        text_of("look", "method"),
        *_DIFFERENCE[:3],
        Column("same verdict", lambda row: "yes" if row["agrees"] else "no", False),
    ]
    return cells(looks, columns, caption)


def choice_summary(comparison: Any, caption: str) -> Table:
    """Return how often inner cross-validation took the learned block, C, and the threshold."""
    choices = comparison.choices
    if choices[["C", "alpha", "block_weight", "threshold"]].isna().all(axis=None):
        return cells(choices[:0], [_SET], caption)
    grouped = choices.groupby(["feature_set", "classifier"], sort=False)
    found = grouped.agg(
        n=("fold", "size"),
        taken=("block_weight", lambda w: (w > 0).sum() if w.notna().any() else np.nan),
        c_low=("C", "min"),
        c_high=("C", "max"),
        alpha_low=("alpha", "min"),
        alpha_high=("alpha", "max"),
        threshold=("threshold", "median"),
    ).reset_index()

    def taken(row: Any) -> str:
        return NOTHING if np.isnan(row["taken"]) else f"{row['taken']:.0f} of {row['n']}"

    def strength(name: str) -> Callable[[Any], str]:
        def show(row: Any) -> str:
            low, high = compact(row[f"{name}_low"]), compact(row[f"{name}_high"])
            return low if low == high else f"{low} to {high}"

        return show

    columns = [
        _SET,
        _CLASSIFIER,
        Column("folds that took the learned block", taken),
        Column("alpha", strength("alpha"))
        if choices["alpha"].notna().any()
        else Column("C", strength("c")),
        Column("threshold (median)", lambda row: number(row["threshold"])),
    ]
    marked = {name: comparison.primary[name] for name in ("feature_set", "classifier")}
    return cells(found, columns, caption, marked=marked)


def redundancy_table(redundancy: pd.DataFrame, caption: str) -> Table:
    """Return the audit."""
    columns = [
        text_of("feature_set", "learned features"),
        Column("estimator", lambda row: METHOD_NAMES.get(row["method"], row["method"]), False),
        Column("estimate", lambda row: number(row["estimate"])),
        Column("chance, mean", lambda row: number(row["null_mean"])),
        Column("chance, 95 %", lambda row: number(row["null_95"])),
        Column("p", lambda row: p_value(row["p_value"])),
        text_of("unit", "unit"),
    ]
    return cells(redundancy, columns, caption)


def graph_table(tests: pd.DataFrame, caption: str) -> Table:
    """Return the paired differences of the graph to classifiers on pooled lesions."""
    metric, caption = _varying(tests, "metric", _METRIC, caption)
    columns = [_SET, text_of("reference", "against"), *metric, *_DIFFERENCE]
    return cells(tests, columns, caption)


def attention_table(attention: pd.DataFrame, caption: str) -> Table:
    """Return how sharp attention is over lesions, and what share each clinical variable has."""
    if attention.empty:
        return Table([], [], [], caption)
    # Where test folds overlap, a patient was held out by several graphs.
    lesions = attention[attention["kind"] == "lesion"].groupby(["fold", "sample"])["weight"]
    several = lesions.size() > 1
    shares = [("most attended lesion, patients with several", lesions.max()[several])]
    clinical = attention[attention["kind"] == "clinical"]
    for name, weights in clinical.groupby("variable", sort=False)["weight"]:
        shares.append((f"clinical variable {name}", weights))
    rows = [
        (name, len(w), w.median(), w.quantile(0.25), w.quantile(0.75))
        for name, w in shares
        if len(w)
    ]
    frame = pd.DataFrame(rows, columns=["what", "n", "median", "low", "high"])
    columns = [
        text_of("what", "of"),
        Column("patients", lambda row: f"{row['n']:,}"),
        Column("share, median", lambda row: number(row["median"], 2)),
        Column("quartiles", lambda row: interval(row["low"], row["high"])),
    ]
    return cells(frame, columns, caption)


def calibration_table(comparison: Any, caption: str) -> Table:
    """Return calibration and operating point of each set with probabilities."""
    frame = comparison.calibration()
    names = ("slope", "intercept", "brier", "sensitivity", "specificity")
    columns = [_SET, _CLASSIFIER]
    for name in names:
        columns.append(Column(name.replace("brier", "Brier score"), _shower(name)))
    marked = {name: comparison.primary[name] for name in ("feature_set", "classifier")}
    return cells(frame, columns, caption, marked=marked if len(frame) else None)


def _shower(name: str) -> Callable[[Any], str]:
    """Return what writes a row's number of that name."""
    return lambda row: number(row[name])


def benefit_table(curve: pd.DataFrame, primary: Mapping[str, str], caption: str) -> Table:
    """Return the net benefit of the two primary sets at every second threshold."""
    if curve.empty:
        return Table([], [], [], caption)
    own = curve[curve["classifier"] == primary["classifier"]]
    names = [primary[key] for key in ("reference", "feature_set") if primary.get(key)]
    names = [name for name in names if (own["feature_set"] == name).any()]
    if not names:
        return Table([], [], [], caption)
    wide = own.pivot(index="threshold", columns="feature_set", values="net_benefit")[names]
    wide["act on all"] = own.groupby("threshold")["treat_all"].first()
    wide = wide.iloc[1::2].reset_index()
    columns = [Column("threshold", lambda row: number(row["threshold"], 2))]
    columns += [Column(str(name), _shower(str(name))) for name in wide.columns[1:]]
    return cells(wide, columns, caption)
