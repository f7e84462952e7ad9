"""Section: calibration and clinical utility, for two classes with probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from nonredundant.displays import style as look
from nonredundant.displays.calibration import CalibrationBandDisplay
from nonredundant.report.agreement import rows_with
from nonredundant.report.descriptions import where_predicted, where_tested
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.formatting import (
    CLASSIFIER,
    SET,
    Column,
    Table,
    format_interval,
    frame_table,
    interval_column,
    number_column,
    p_column,
    text_column,
)
from nonredundant.report.section import Block, Section, note


def _figures(comparison: Any) -> list[Drawing]:
    """Draw calibration and decision curve, where the primary classifier has probabilities."""
    settings, primary = comparison.settings, comparison.primary
    at = (comparison.predictions["feature_set"] == primary["feature_set"]) & (
        comparison.predictions["classifier"] == primary["classifier"]
    )
    if len(settings.classes) != 2:
        return []
    if not comparison.predictions.loc[at, "score"].between(0, 1).all():
        return []
    where = where_predicted(settings)
    first = " of the first repeat" if settings.n_repeats > 1 and not settings.n_test else ""
    return [
        Drawing(
            "reliability",
            "Calibration",
            f"Predicted against observed frequency on {where}, bins of equal size, bands: "
            "Wilson's 95 % interval. On the diagonal, predicted and observed frequency are equal.",
            draw_with(CalibrationBandDisplay),
        ),
        Drawing(
            "benefit",
            "Decision curve",
            f"Net benefit on {where}{first} of treating every patient whose predicted probability "
            "is above a threshold: true positives minus false positives weighted by the odds of "
            "the threshold, per patient. A model is useful where it lies above both treating all "
            "and treating none (0).",
            _draw_decision_curve,
        ),
    ]


def _draw_decision_curve(comparison: Any) -> Any:
    """Draw the net benefit of the two primary sets against treating all and treating none."""
    classifier = comparison.primary["classifier"]
    own = look.pick(comparison.decision_curve(), classifier=classifier)
    names = look.primary_sets(comparison)
    ax = look.single(None, (4.4, 4.4))
    for name, style in zip(names, look.styles(len(names)), strict=True):
        part = look.pick(own, feature_set=name)
        ax.plot(
            part["threshold"],
            part["net_benefit"],
            color=style.colour,
            linestyle=style.line,
            marker=style.marker,
            markersize=3,
            label=name,
        )
    treat_all = own.groupby("threshold")["treat_all"].first()
    ax.plot(treat_all.index, treat_all, color="0.5", linestyle=":", label="treat all")
    ax.axhline(0, color="0.5", linewidth=1, label="treat none")
    # The curve of treating all falls without bound; the relevant part lies above 0.
    top = float(np.nanmax([own["net_benefit"].max(), treat_all.max()]))
    ax.set(xlabel="threshold", ylabel="net benefit", ylim=(-0.25 * top, 1.1 * top))
    ax.set_title(classifier, fontsize=look.TITLE, loc="left")
    ax.legend(loc="upper right", frameon=False, fontsize=look.SMALL)
    look.despine(ax)
    return ax.figure


def _content(comparison: Any) -> list[Block] | None:
    """Tabulate calibration, operating points and net benefit."""
    if len(comparison.settings.classes) != 2:
        return None
    where = where_tested(comparison.settings)
    blocks: list[Block] = [
        _calibration_table(comparison, "Calibration and operating point in cross-validation"),
        _benefit_table(comparison, f"Net benefit {where}"),
        _difference_table(comparison, f"What the probabilities are worth {where}"),
    ]
    if not any(blocks):
        return None
    blocks.append(
        note(
            "Perfect calibration has slope 1 and intercept 0; a slope below 1 means predictions "
            "that are too extreme. A slope is not estimable with fewer than 10 cases of a class, "
            "or where predictions separate the classes. Sensitivity and specificity are at the "
            "threshold of each fold, which was chosen on its training samples."
        )
    )
    return blocks


def _calibration_table(comparison: Any, caption: str) -> Table:
    """Tabulate calibration and operating point of each set with probabilities."""
    frame = comparison.calibration()
    names = ("slope", "intercept", "brier", "sensitivity", "specificity")
    heads = [name.replace("brier", "Brier score") for name in names]
    columns = [SET, CLASSIFIER, *map(number_column, names, heads)]
    columns.insert(3, Column("95 % interval of the slope", _slope_interval))
    marked = {name: comparison.primary[name] for name in ("feature_set", "classifier")}
    return frame_table(frame, columns, caption, marked=marked if len(frame) else None)


def _slope_interval(row: Any) -> str:
    """Format the interval of a calibration slope."""
    return format_interval(row["slope_low"], row["slope_high"])


def _benefit_table(comparison: Any, caption: str) -> Table:
    """Tabulate the net benefit of the two primary sets at every second threshold."""
    curve = comparison.decision_curve()
    if curve.empty:
        return Table([], [], [], caption)
    own = curve[curve["classifier"] == comparison.primary["classifier"]]
    names = [name for name in look.primary_sets(comparison) if (own["feature_set"] == name).any()]
    if not names:
        return Table([], [], [], caption)
    wide = own.pivot(index="threshold", columns="feature_set", values="net_benefit")[names]
    wide["treat all"] = own.groupby("threshold")["treat_all"].first()
    wide = wide.iloc[1::2].reset_index()
    columns = [number_column("threshold", "threshold", 2)]
    columns += [number_column(str(name), str(name)) for name in wide.columns[1:]]
    return frame_table(wide, columns, caption)


def _difference_table(comparison: Any, caption: str) -> Table:
    """Tabulate how much better the probabilities of the primary set are than the reference's."""
    tests, primary = comparison.probability_tests, comparison.primary
    own = (
        tests[:0]
        if "reference" not in primary
        else rows_with(
            tests, {name: primary[name] for name in ("feature_set", "reference", "classifier")}
        )
    )
    threshold = Column(
        "at", lambda row: "" if np.isnan(row["threshold"]) else f"{row['threshold']}"
    )
    columns = [
        SET,
        text_column("reference", "against"),
        CLASSIFIER,
        text_column("measure", "measure"),
        threshold,
        number_column("estimate", "better by", signed=True),
        interval_column(signed=True),
        p_column("p_value", "p"),
    ]
    return frame_table(own, columns, caption)


SECTION = Section("calibration", "Calibration and clinical utility", _content, _figures)
