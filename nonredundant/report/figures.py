"""The pictures of the report: drawn, captioned, and turned into text that an HTML file can hold."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from nonredundant import displays
from nonredundant.displays import style as look

#: Dots an inch of the files; browsers show an inch as 96 pixels.
_DPI, _CSS_DPI = 160, 96
#: Wider pictures take the whole width of the page.
_WIDE = 6.0


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI, with its size on the page in pixels."""

    name: str
    title: str
    caption: str
    source: str
    width: int
    height: int
    is_wide: bool


@dataclass(frozen=True)
class Recipe:
    """A picture that may be drawn: where it stands, how it is made, what is below it."""

    section: str
    name: str
    title: str
    caption: str
    draw: Callable[[Any], Any]


def draw_figures(comparison: Any) -> tuple[dict[str, list[Figure]], list[str]]:
    """Return the pictures of each section, and what could not be drawn and why."""
    import matplotlib.pyplot as plt
    import matplotlib.style

    found: dict[str, list[Figure]] = {}
    problems = []
    open_before = plt.get_fignums()
    # The report looks the same whatever style the user draws in, and opens no window.
    with matplotlib.style.context("default"), plt.ioff():
        for recipe in _recipes(comparison):
            try:
                figure = _encoded(recipe, recipe.draw(comparison))
                found.setdefault(recipe.section, []).append(figure)
            except ValueError as error:
                # One picture that cannot be drawn must not cost the reader the numbers.
                problems.append(f"{recipe.title}: {error}")
            for number in set(plt.get_fignums()).difference(open_before):
                plt.close(number)
    return found, problems


def _recipes(comparison: Any) -> list[Recipe]:
    """Return the pictures that this comparison has something for."""
    binary = len(comparison.settings["classes"]) == 2
    primary = comparison.primary
    at = (comparison.predictions["feature_set"] == primary["feature_set"]) & (
        comparison.predictions["classifier"] == primary["classifier"]
    )
    probable = binary and bool(comparison.predictions.loc[at, "score"].between(0, 1).all())
    weights = comparison.weights
    fused = weights[weights["feature_set"] == primary["feature_set"]]["block"].nunique() == 2
    where = "the held-out test set" if comparison.settings["n_test"] else "held-out folds"
    wanted = [
        (True, _forest()),
        (len(comparison.redundancy) > 0, _redundancy()),
        (binary, _roc(where)),
        (bool(comparison.patient_graphs), _graphs()),
        (fused, _weights()),
        (bool(comparison.latents), _latents()),
        (comparison.atlas is not None, _atlas()),
        (len(comparison.history) > 0, _losses()),
        (probable, _calibration(where)),
        (probable, _benefit(where, comparison.settings["n_repeats"])),
    ]
    return [recipe for is_there, recipe in wanted if is_there]


def _shown(display: Any) -> Callable[[Any], Any]:
    """Return what draws a display and hands over its figure."""
    return lambda comparison: display.from_comparison(comparison).figure_


def _forest() -> Recipe:
    caption = (
        "Left: score of each feature set. Right: paired difference to the set it was tested "
        "against. Lines are 95 % intervals; p in brackets is corrected by Holm's method. Shaded: "
        "the comparison that was asked for before looking."
    )
    draw = _shown(displays.FeatureSetComparisonDisplay)
    return Recipe("comparison", "forest", "Scores and paired differences", caption, draw)


def _redundancy() -> Recipe:
    caption = (
        "What fresh estimators still find of the hand-crafted features in the learned ones, on "
        "held-out samples. Grey: what independent features give, from the mean to the 95 % point. "
        "A marker inside or left of the grey bar is no more than chance."
    )
    return Recipe("audit", "redundancy", "Redundancy", caption, _shown(displays.RedundancyDisplay))


def _roc(where: str) -> Recipe:
    caption = (
        f"ROC curves on {where}, of the two sets of the primary comparison. Bands: 95 % of the "
        "curves when samples are drawn anew (bootstrap). Dotted: a guess."
    )
    return Recipe("pictures", "roc", "ROC curves", caption, _shown(displays.RocBandDisplay))


def _graphs() -> Recipe:
    caption = (
        "Patients that were not trained on, of each outcome the one with the highest and the one "
        "with the lowest prediction (of more than two classes, of its own), seen from the front "
        "where lesions have three dimensions. Dots are lesions, as large as the graph's attention; "
        "lines are pairs of lesions, as thick as theirs. Attention says what a prediction was "
        "computed from, not what caused the outcome."
    )

    def draw(comparison: Any) -> Any:
        import matplotlib.pyplot as plt

        shown = comparison.patient_graphs
        n_rows = (len(shown) + 1) // 2
        figure, axes = plt.subplots(
            n_rows, 2, figsize=(10.0, 5.2 * n_rows), layout="constrained", squeeze=False
        )
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, parts in zip(axes.flat, shown, strict=False):
            displays.PatientGraphDisplay(**parts).plot(ax)
        return figure

    return Recipe("patients", "graphs", "Patients as graphs", caption, draw)


def _weights() -> Recipe:
    caption = (
        "Left: size of each feature's weight in the fused model, mean and range over the fold "
        "models, hand-crafted and learned features apart. Right: how many of the largest weights "
        "belong to learned features, against chance. A weight of 0 in every fold means that inner "
        "cross-validation left the learned block out."
    )
    draw = _shown(displays.FeatureWeightsDisplay)
    return Recipe("pictures", "weights", "Weights of the features", caption, draw)


def _latents() -> Recipe:
    caption = (
        "Learned features of one fold's held-out samples: principal components and, where classes "
        "are large enough, linear discriminants, each sample placed by a fit that did not see it. "
        "Every fold has a network of its own, so one fold is shown."
    )
    draw = _shown(displays.LatentSpaceDisplay)
    return Recipe("pictures", "latents", "Latent space", caption, draw)


def _atlas() -> Recipe:
    caption = (
        "Where in the image each latent of the first fold's network acts, on the lesions that the "
        "fold held out: mean change when the latent varies by one standard deviation, its share "
        "of the change of all, and the hand-crafted feature that it follows most closely, with "
        "Spearman's correlation and 95 % interval (n.s.: not significant after Holm's correction)."
    )
    return Recipe(
        "pictures", "atlas", "What the latents do", caption, lambda c: c.atlas.plot().figure_
    )


def _losses() -> Recipe:
    caption = (
        "Each term of the loss over the epochs: mean over the folds' networks, band from the "
        "least to the largest. A validation curve that turns upwards shows overfitting."
    )
    return Recipe("pictures", "losses", "Training", caption, _shown(displays.LossCurveDisplay))


def _calibration(where: str) -> Recipe:
    caption = (
        f"Predicted against observed frequency on {where}, bins of equal size, bands: Wilson's "
        "95 % interval. On the diagonal, predictions mean what they say."
    )
    draw = _shown(displays.CalibrationBandDisplay)
    return Recipe("calibration", "reliability", "Calibration", caption, draw)


def _benefit(where: str, n_repeats: int) -> Recipe:
    if n_repeats > 1 and "fold" in where:
        where += " of the first repeat"
    caption = (
        f"Net benefit on {where} of acting on every prediction above a threshold: true positives "
        "less false positives weighed by the odds of the threshold, a case. A model is of use "
        "where it lies above both acting on all and acting on none (0)."
    )
    return Recipe("calibration", "benefit", "Decision curve", caption, _decision_curve)


def _decision_curve(comparison: Any) -> Any:
    """Draw the net benefit of the two primary sets against acting on all and on none."""
    primary, curve = comparison.primary, comparison.decision_curve()
    own = look.pick(curve, classifier=primary["classifier"])
    names = [primary[key] for key in ("reference", "feature_set") if primary.get(key)]
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
    ax.plot(treat_all.index, treat_all, color="0.5", linestyle=":", label="act on all")
    ax.axhline(0, color="0.5", linewidth=1, label="act on none")
    # Acting on all falls without bound; what counts lies above 0.
    top = float(np.nanmax([own["net_benefit"].max(), treat_all.max()]))
    ax.set(xlabel="threshold", ylabel="net benefit", ylim=(-0.25 * top, 1.1 * top))
    ax.set_title(primary["classifier"], fontsize=10, loc="left")
    ax.legend(loc="upper right", frameon=False, fontsize=look.SMALL)
    look.despine(ax)
    return ax.figure


def _encoded(recipe: Recipe, figure: Any) -> Figure:
    """Return a drawn figure as a data URI."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")
    content = buffer.getvalue()
    # The size stands at a fixed place of a PNG, after its signature and the first chunk's head.
    size = [int.from_bytes(content[i : i + 4], "big") for i in (16, 20)]
    width, height = (round(n * _CSS_DPI / _DPI) for n in size)
    return Figure(
        recipe.name,
        recipe.title,
        recipe.caption,
        "data:image/png;base64," + base64.b64encode(content).decode("ascii"),
        width,
        height,
        width > _WIDE * _CSS_DPI,
    )
