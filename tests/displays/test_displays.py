"""Pictures are checked for what is on them: panels, labels, artists, numbers; not for pixels."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cohorts_for_tests import make_table
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from scipy.stats import binomtest, norm, spearmanr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets, displays
from nonredundant.displays import style as look
from nonredundant.inspection import latent_atlas, latent_stability
from nonredundant.patients import LesionGraphClassifier

mpl.use("Agg")

SETS = ("HCR", "DLR", "HCR+DLR", "HCR+DLR-MI")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    """Everything that the displays draw: a network, its lesions, a comparison, a sweep."""
    rng = np.random.default_rng(0)
    n = 30
    patches = rng.normal(size=(n, 1, 16, 16)).astype("float32")
    masks = np.zeros((n, 1, 16, 16), dtype=bool)
    masks[:, :, 3:12, 4:14] = True
    h = pd.DataFrame(rng.normal(size=(n, 4)), columns=["volume", "maximum", "energy", "entropy"])
    lesions = LesionTable(h, patches=patches, masks=masks, index=[f"case{i:02d}" for i in range(n)])
    cvae = NonRedundantCVAE(
        dlr_size=4, max_epochs=3, net_params={"validation_fraction": 0.2}, random_state=0
    )
    cvae.fit(lesions)
    table, y = make_table(72)
    found = compare_feature_sets(
        table,
        np.array(["benign", "malignant"])[y],
        cvae=NonRedundantCVAE(dlr_size=3, max_epochs=3, network={"width": 4}),
        feature_sets=SETS,
        classifiers={"LR": LogisticRegression(C=0.1)},
        baselines=False,
        audit=["dcor", "r2-ridge"],
        cv=3,
        random_state=0,
    )
    sweep = pd.DataFrame(
        {
            "parameter": ["dlr_size"] * 4 + ["kappa"] * 3,
            "value": [8, 8, 16, np.nan, 0.0, 0.3, np.nan],
            "feature_set": ["HCR+DLR"] * 3 + ["HCR"] + ["HCR+DLR"] * 2 + ["HCR"],
            "score": [0.8, 0.9, 0.88, 0.7, 0.81, 0.84, 0.7],
        }
    )
    y = np.tile([0, 1, 2], n // 3)
    patients, graph, uptake = _patients()
    return SimpleNamespace(
        cvae=cvae,
        lesions=lesions,
        y=y,
        found=found,
        sweep=sweep,
        patients=patients,
        graph=graph,
        uptake=uptake,
    )


def _patients():
    """Return patients, a graph fitted on them, and the first one's image of points."""
    rng = np.random.default_rng(0)
    counts = np.array([5, 1, 3, 2] * 4)
    sample = np.repeat(np.arange(16), counts)
    index = rng.integers(1, [20, 12, 10], size=(len(sample), 3))
    # Axes 1 and 2 point the other way, voxels are not cubes, the first voxel is not at 0.
    uptake = sitk.Image([12, 14, 22], sitk.sitkFloat32)
    uptake.SetSpacing([4.0, 5.0, 6.0])
    uptake.SetOrigin([30.0, -20.0, 100.0])
    uptake.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    for number, (z, y, x) in enumerate(index[:5].tolist()):
        uptake[x, y, z] = 10.0 + number
    positions = [
        uptake.TransformIndexToPhysicalPoint([x, y, z])[::-1] for z, y, x in index.tolist()
    ]
    features = pd.DataFrame(rng.normal(size=(len(sample), 2)), columns=["uptake", "entropy"])
    names = [f"patient{i:02d}" for i in range(16)]
    patients = LesionTable(features, sample=sample, positions=positions, index=names)
    graph = LesionGraphClassifier(max_epochs=2, random_state=0, device="cpu")
    return patients, graph.fit(patients, np.arange(16) % 2), uptake


def _from_comparison(name):
    return lambda data, ax=None: getattr(displays, name).from_comparison(data.found, ax=ax)


def _from_network(name, *extra, **settings):
    def make(data, ax=None):
        arguments = [getattr(data, one) for one in ("lesions", *extra)]
        return getattr(displays, name).from_estimator(data.cvae, *arguments, **settings, ax=ax)

    return make


def _from_graph(**settings):
    """Draw the first patient, whose five lesions are marked in an image of their own."""

    def make(data, ax=None):
        arguments = {"image": data.uptake, **settings}
        return displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients, **arguments, ax=ax
        )

    return make


def _graph_parts(ax):
    """Count lesions, pairs, names and images."""
    lines, dots = ax.collections
    return len(dots.get_offsets()), len(lines.get_segments()), len(ax.texts), len(ax.images)


def _count(kind):
    """Count a panel's artists of a kind."""
    return lambda ax: len(getattr(ax, kind))


def _points(ax):
    """Count the samples on a scatter plot."""
    return sum(len(one.get_offsets()) for one in ax.collections)


def _bands(ax):
    return sum(isinstance(one, PolyCollection) for one in ax.collections)


def _markers(ax):
    """Count the points of all lines."""
    return sum(len(line.get_xdata()) for line in ax.lines)


# Name → how it is made, what is counted, and the count in each panel.
DRAWN = {
    "FeatureSetComparisonDisplay": (
        _from_comparison("FeatureSetComparisonDisplay"),
        _count("containers"),
        [4, 3],
    ),
    "RedundancyDisplay": (_from_comparison("RedundancyDisplay"), _markers, [2, 2]),
    "LossCurveDisplay": (_from_comparison("LossCurveDisplay"), _count("lines"), [4, 4, 4, 2]),
    "LossCurveDisplay of one": (
        lambda data, ax=None: displays.LossCurveDisplay.from_estimator(data.cvae, ax=ax),
        _count("lines"),
        [2, 2, 2, 2],
    ),
    "FeatureWeightsDisplay": (
        _from_comparison("FeatureWeightsDisplay"),
        lambda ax: len(ax.patches) or len(ax.lines),
        [8 + 3, 3],
    ),
    "RocBandDisplay": (_from_comparison("RocBandDisplay"), _bands, [2]),
    "CalibrationBandDisplay": (_from_comparison("CalibrationBandDisplay"), _count("lines"), [3]),
    "LatentSpaceDisplay": (_from_comparison("LatentSpaceDisplay"), _points, [24, 24]),
    "LatentSpaceDisplay of three classes": (
        _from_network("LatentSpaceDisplay", "y"),
        _points,
        [30, 30],
    ),
    "LatentSpaceDisplay by feature": (
        _from_network("LatentSpaceDisplay", colour_by="volume"),
        _points,
        [30],
    ),
    "ReconstructionDisplay": (
        _from_network("ReconstructionDisplay", rows=[4, 0]),
        _count("images"),
        [1] * 8,
    ),
    "TraversalDisplay": (
        _from_network("TraversalDisplay", latents=[3, 1], n_steps=3),
        _count("images"),
        [1] * 12,
    ),
    "CorrelationMapDisplay": (_from_network("CorrelationMapDisplay"), _count("texts"), [16]),
    "LatentAtlasDisplay": (
        lambda data, ax=None: latent_atlas(data.cvae, data.lesions).plot(ax=ax),
        _count("images"),
        [1] * 4,
    ),
    "LatentStabilityDisplay": (
        lambda data, ax=None: latent_stability(
            data.cvae, data.lesions, n_fits=1, random_state=0
        ).plot(ax=ax),
        _markers,
        [4 + 4 + 2 + 2],
    ),
    "PatientGraphDisplay": (_from_graph(), _graph_parts, [(5, 10, 3, 1)]),
    "PatientGraphDisplay without an image": (
        _from_graph(image=None),
        _graph_parts,
        [(5, 10, 3, 0)],
    ),
    "SweepDisplay": (
        lambda data, ax=None: displays.SweepDisplay.from_frame(data.sweep, ax=ax),
        lambda ax: (len(ax.containers), len(ax.texts)),
        [(1, 2), (1, 2)],
    ),
}
EVERY = pytest.mark.parametrize("name", sorted(DRAWN))


@pytest.fixture(scope="module", params=sorted(DRAWN))
def drawn(request, data):
    """Draw a display once for all that is looked at; `plt.close` leaves the figure as it is."""
    make, count, expected = DRAWN[request.param]
    return SimpleNamespace(name=request.param, display=make(data), count=count, expected=expected)


def panels_of(display):
    """Return the display's own panels, without colour bars."""
    return list(np.ravel(getattr(display, "axes_", display.ax_)))


def axes_in(figure):
    """Return the axes of a figure that are not switched off."""
    return [ax for ax in figure.axes if ax.axison]


# All displays ----------------------------------------------------------------------------------


def test_every_display_is_drawn_here():
    assert {name.split()[0] for name in DRAWN} == set(displays.__all__)


def test_a_display_holds_what_it_should(drawn):
    assert [drawn.count(ax) for ax in panels_of(drawn.display)] == drawn.expected
    assert all(ax.has_data() for ax in axes_in(drawn.display.figure_))


@EVERY
@pytest.mark.parametrize("kind", ["subplots", "placed"])
def test_a_display_draws_on_the_given_axes(name, kind, data):
    figure = plt.figure(figsize=(16, 9))
    if kind == "subplots":
        _, part = figure.subfigures(1, 2)
        other, ax = part.subplots(1, 2)
    else:
        ax = figure.add_axes((0.1, 0.1, 0.4, 0.8))
        other = figure.add_axes((0.6, 0.1, 0.3, 0.8))
    box = ax.get_position().frozen() if kind == "placed" else None
    make, count, expected = DRAWN[name]
    display = make(data, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert plt.get_fignums() == [figure.number]
    assert [count(one) for one in panels_of(display)] == expected
    assert not other.has_data()
    if box is not None:
        for one in panels_of(display):
            place = one.get_position()
            assert box.x0 - 1e-9 <= place.x0 <= place.x1 <= box.x1 + 1e-9
            assert box.y0 - 1e-9 <= place.y0 <= place.y1 <= box.y1 + 1e-9


def test_axes_are_labelled(drawn):
    display = drawn.display
    if drawn.name in ("ReconstructionDisplay", "TraversalDisplay"):
        assert all(ax.get_title() for ax in display.axes_[0])
        assert all(ax.get_ylabel() for ax in display.axes_[:, 0])
        return
    if drawn.name == "LatentAtlasDisplay":
        assert all(ax.get_title() and ax.get_xlabel() for ax in display.axes_.ravel())
        return
    for i, ax in enumerate(panels_of(display)):
        assert ax.get_xlabel()
        shares_rows = drawn.name == "FeatureSetComparisonDisplay" and i == 1
        assert ax.get_ylabel() or shares_rows


def test_nothing_is_cut_off_or_written_over(drawn):
    figure = drawn.display.figure_
    figure.draw_without_rendering()
    page = figure.bbox.padded(1)
    for ax in axes_in(figure):
        texts = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.texts]
        if ax.get_legend() is not None:
            texts += ax.get_legend().get_texts()
        for ticks in seen_ticks(ax):
            texts += ticks
            for one, following in pairwise(ticks):
                assert not one.get_window_extent().overlaps(following.get_window_extent())
        for text in texts:
            if text.get_text():
                box = text.get_window_extent()
                assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
                assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
                assert text.get_fontsize() >= 7


def seen_ticks(ax):
    """Return the tick labels of each axis that are drawn: matplotlib keeps some beyond the ends."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        pairs = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        yield [label for place, label in pairs if low <= place <= high and label.get_text()]


@EVERY
def test_a_display_can_be_drawn_again(name, data):
    make, count, expected = DRAWN[name]
    display = make(data)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert [count(ax) for ax in panels_of(display)] == expected


def test_series_differ_in_colour_marker_line_and_grey():
    every = look.styles(7)
    for part in zip(*every, strict=True):
        assert len(set(part)) == 7
    rgb = np.array([mpl.colors.to_rgb(style.colour) for style in every])
    grey = rgb @ [0.2126, 0.7152, 0.0722]
    assert np.abs(np.diff(grey[:3])).min() > 0.2


@pytest.mark.parametrize("name", [look.SEQUENTIAL, "magma", "gray"])
def test_colour_scales_are_monotone_in_grey(name):
    rgb = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(rgb @ [0.2126, 0.7152, 0.0722]) > -1e-3).all()


# Forest plot -----------------------------------------------------------------------------------


def whiskers(ax):
    """Return the ends of each row's interval, and the point in it, from what is drawn."""
    rows = []
    for container in ax.containers:
        point, _, bars = container.lines
        (segment,) = bars[0].get_segments()
        rows.append([*segment[:, 0], point.get_xdata()[0]])
    return np.array(rows)


def test_forest_plot_shows_summary_and_tests(data):
    display = data.found.plot()
    scores, differences = display.axes_
    summary = data.found.summary
    assert [text.get_text() for text in scores.get_yticklabels()] == list(SETS)
    np.testing.assert_allclose(whiskers(scores), summary[["low", "high", "mean"]])
    tests = data.found.tests.query("reference == 'HCR'").set_index("feature_set").loc[[*SETS[1:]]]
    np.testing.assert_allclose(whiskers(differences), tests[["low", "high", "estimate"]])
    texts = [text.get_text() for text in differences.texts]
    assert texts[0] == "reference"
    for text, p in zip(texts[1:], tests["p_value"], strict=True):
        assert text.startswith("p < 0.001" if p < 0.001 else f"p = {p:.3f}")
    assert scores.get_title("left") == "LR"
    assert display.highlighted == "HCR+DLR-MI"


def test_forest_plot_takes_another_reference(data):
    display = displays.FeatureSetComparisonDisplay.from_comparison(data.found, reference="HCR+DLR")
    assert np.isfinite(display.difference).tolist() == [False, False, False, True]
    assert "HCR+DLR" in display.axes_[1].get_xlabel()


def test_forest_plot_names_each_reference_where_they_differ(data):
    part = SimpleNamespace(**vars(data.found), primary=data.found.primary)
    part.tests = part.tests.query("feature_set != 'HCR+DLR-MI' or reference == 'HCR+DLR'")
    display = displays.FeatureSetComparisonDisplay.from_comparison(part)
    assert display.reference == [None, "HCR", "HCR", "HCR+DLR"]
    texts = [text.get_text() for text in display.axes_[1].texts]
    assert [text.rpartition(" to ")[2] for text in texts] == ["reference", *display.reference[1:]]
    assert "its reference" in display.axes_[1].get_xlabel()


def test_forest_plot_without_tests_or_intervals_has_one_panel():
    nothing = [np.nan, np.nan]
    display = displays.FeatureSetComparisonDisplay(
        feature_sets=["HCR", "DLR"],
        score=[0.7, 0.6],
        low=nothing,
        high=nothing,
        difference=nothing,
        difference_low=nothing,
        difference_high=nothing,
        p_value=nothing,
        p_holm=nothing,
        reference=[None, None],
    ).plot()
    assert len(display.axes_) == 1
    assert not any(container.has_xerr for container in display.axes_[0].containers)


@pytest.mark.parametrize("wrong", [{"metric": "accuracy"}, {"classifier": "SVM"}])
def test_forest_plot_of_what_is_not_there_names_what_is(wrong, data):
    with pytest.raises(ValueError, match=r"roc_auc.*LR"):
        displays.FeatureSetComparisonDisplay.from_comparison(data.found, **wrong)


# Redundancy ------------------------------------------------------------------------------------


def report(estimates, p_values):
    return pd.DataFrame(
        {
            "estimate": estimates,
            "null_mean": [-0.01, 0.5],
            "null_95": [0.02, 0.56],
            "p_value": p_values,
            "unit": ["R²", "AUC"],
        },
        index=pd.Index(["r2-ridge", "discriminator-auc"], name="method"),
    )


def test_redundancy_stands_against_its_null():
    reports = {
        "before": report([0.4, 0.9], [0.001, 0.001]),
        "after": report([0.01, 0.57], [0.2, 0.04]),
    }
    display = displays.RedundancyDisplay.from_reports(reports)
    r2, auc = display.axes_
    assert [text.get_text() for text in r2.get_yticklabels()] == ["ridge"]
    bars = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in auc.patches])
    np.testing.assert_allclose(bars, [[0.5, 0.56]] * 2)
    drawn = {
        (float(line.get_xdata()[0]), line.get_markerfacecolor() == "white")
        for ax in (r2, auc)
        for line in ax.lines
        if len(line.get_xdata())
    }
    assert drawn == {(0.4, False), (0.9, False), (0.01, True), (0.57, False)}
    named = [text.get_text() for text in r2.get_legend().get_texts()]
    assert named[:2] == ["before", "after"]


def test_redundancy_without_permutations_is_drawn_without_a_null():
    unknown = report([0.4, 0.9], [np.nan, np.nan]).assign(null_mean=np.nan, null_95=np.nan)
    display = displays.RedundancyDisplay.from_reports({"DLR": unknown})
    display.figure_.draw_without_rendering()
    estimates = [list(line.get_xdata()) for line in display.axes_[0].lines]
    assert sum(estimates, []) == [0.4]


def test_redundancy_of_some_sets(data):
    display = displays.RedundancyDisplay.from_comparison(data.found, feature_sets=["DLR"])
    assert display.table["feature_set"].unique().tolist() == ["DLR"]
    with pytest.raises(ValueError, match="DLR-MI"):
        displays.RedundancyDisplay.from_comparison(data.found, feature_sets=["PCA"])


# Losses and sweeps -----------------------------------------------------------------------------


def test_losses_are_mean_and_range_over_folds(data):
    display = displays.LossCurveDisplay.from_comparison(data.found, feature_sets=["DLR-MI"])
    own = display.curves.query("term == 'reconstruction' and part == 'validation'")
    history = data.found.history.query("feature_set == 'DLR-MI'")
    every = history.pivot_table(index="epoch", columns="fold", values="valid_reconstruction")
    np.testing.assert_allclose(own["mean"], every.mean(axis=1))
    np.testing.assert_allclose(own[["low", "high"]], every.agg(["min", "max"], axis=1))
    training, validation = display.axes_[1].lines
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(validation.get_ydata(), own["mean"])


def test_a_term_that_is_not_in_the_loss_is_not_drawn(data):
    terms = displays.LossCurveDisplay.from_comparison(data.found).curves
    used = terms.groupby("term", sort=False)["series"].unique()
    assert list(used.index) == ["total", "reconstruction", "kl", "independence"]
    assert used["independence"].tolist() == ["DLR-MI"]


def test_no_losses_no_picture(data):
    with pytest.raises(ValueError, match="no losses"):
        displays.LossCurveDisplay.from_comparison(data.found, feature_sets=["PCA"])


def test_sweep_is_mean_and_range_with_levels(data):
    display = displays.SweepDisplay.from_frame(data.sweep)
    sizes, kappas = display.axes_
    assert [text.get_text() for text in sizes.get_xticklabels()] == ["8", "16"]
    assert [text.get_text() for text in kappas.get_xticklabels()] == ["0", "0.3"]
    point, _, (bars,) = sizes.containers[0].lines
    np.testing.assert_allclose(point.get_ydata(), [0.85, 0.88])
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [0.8, 0.9])
    level = next(line for line in sizes.lines if line.get_marker() == "None")
    np.testing.assert_allclose(level.get_ydata(), [0.7, 0.7])


def test_sweep_takes_given_intervals(data):
    frame = data.sweep.drop_duplicates(["parameter", "value"]).assign(low=0.6, high=0.95)
    display = displays.SweepDisplay.from_frame(frame)
    assert (display.table[["low", "high"]] == [0.6, 0.95]).to_numpy().all()
    with pytest.raises(ValueError, match="'score'"):
        displays.SweepDisplay.from_frame(frame.drop(columns="score"))


# Curves ----------------------------------------------------------------------------------------


def test_roc_areas_are_those_of_the_summary(data):
    display = displays.RocBandDisplay.from_comparison(data.found, feature_sets=SETS)
    np.testing.assert_allclose(display.auc, data.found.summary["mean"])
    assert display.ax_.get_title("left") == "LR, cross-validation"
    for tpr, low, high in zip(display.tpr, display.low, display.high, strict=True):
        assert (np.diff(tpr) >= 0).all()
        assert (low <= tpr + 1e-12).all()
        assert (tpr <= high + 1e-12).all()


def test_roc_of_a_test_set_is_that_of_the_ensemble(data):
    held = SimpleNamespace(
        primary=data.found.primary, settings=replace(data.found.settings, n_test=72)
    )
    held.predictions = data.found.predictions.assign(repeat=-1, fold=-1)
    display = displays.RocBandDisplay.from_comparison(held)
    for name, area in zip(("HCR", "HCR+DLR-MI"), display.auc, strict=True):
        own = held.predictions[held.predictions["feature_set"] == name]
        assert area == pytest.approx(roc_auc_score(own["y"] == "malignant", own["score"]))
    assert display.ax_.get_title("left") == "LR, test set"


def test_roc_of_four_samples_and_of_a_perfect_score():
    y = [0, 0, 1, 1]
    scores = {"known": [0.1, 0.4, 0.35, 0.8], "perfect": [0.1, 0.2, 0.3, 0.4], "tied": [1] * 4}
    display = displays.RocBandDisplay.from_predictions(y, scores)
    np.testing.assert_allclose(display.auc, [0.75, 1, 0.5])
    at = np.interp([0.25, 0.75], display.fpr, display.tpr[0])
    np.testing.assert_allclose(at, [0.5, 1])
    assert (display.tpr[1][1:] == 1).all()
    assert (display.low[1][1:] == 1).all()
    np.testing.assert_allclose(display.tpr[2], display.fpr)


def test_roc_band_holds_the_true_curve_pointwise():
    # Scores N(0, 1) and N(1, 1): sensitivity is Φ(1 + Φ⁻¹(1 − specificity)).
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    held = []
    ax = plt.figure().subplots()
    for _ in range(40):
        ax.clear()
        scores = {"": rng.normal(size=120) + y}
        display = displays.RocBandDisplay.from_predictions(y, scores, ax=ax)
        middle = np.searchsorted(display.fpr, [0.2, 0.4])
        truth = norm.cdf(1 + norm.ppf(display.fpr[middle]))
        held.append((display.low[0, middle] <= truth) & (truth <= display.high[0, middle]))
    assert 0.88 < np.mean(held) <= 1


def test_curves_need_two_classes_in_a_fold():
    with pytest.raises(ValueError, match="both classes"):
        displays.RocBandDisplay.from_predictions([1, 1, 1], {"HCR": [0.1, 0.2, 0.3]})


def test_repeats_do_not_narrow_a_calibration_band(data):
    once = displays.CalibrationBandDisplay.from_comparison(data.found, n_bins=3)
    twice = SimpleNamespace(**vars(data.found), primary=data.found.primary)
    table = data.found.predictions
    twice.predictions = pd.concat([table, table.assign(repeat=1)], ignore_index=True)
    again = displays.CalibrationBandDisplay.from_comparison(twice, n_bins=3)
    np.testing.assert_allclose(again.low[0], once.low[0])
    np.testing.assert_allclose(again.high[0], once.high[0])


def test_calibration_is_counted_in_bins_with_wilson_intervals(data):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=200)
    y = rng.uniform(size=200) < p
    display = displays.CalibrationBandDisplay.from_predictions(y, {"HCR": p}, n_bins=4)
    order = np.argsort(p)
    for k, rows in enumerate(np.split(order, 4)):
        assert display.predicted[0][k] == pytest.approx(p[rows].mean())
        assert display.observed[0][k] == pytest.approx(y[rows].mean())
        interval = binomtest(int(y[rows].sum()), 50).proportion_ci(method="wilson")
        assert (display.low[0][k], display.high[0][k]) == pytest.approx(tuple(interval))
    assert display.brier[0] == pytest.approx(np.mean((p - y) ** 2))


def test_calibration_of_margins_is_refused():
    with pytest.raises(ValueError, match="probabilities"):
        displays.CalibrationBandDisplay.from_predictions([0, 1], {"SVM": [-2.0, 3.0]})


@pytest.mark.parametrize("name", ["RocBandDisplay", "CalibrationBandDisplay"])
def test_curves_are_for_two_classes(name, data):
    three = SimpleNamespace(
        settings=SimpleNamespace(classes=["a", "b", "c"]), primary=data.found.primary
    )
    with pytest.raises(ValueError, match="two classes"):
        getattr(displays, name).from_comparison(three)


# Weights ---------------------------------------------------------------------------------------


def test_learned_features_among_the_largest_are_counted():
    display = displays.FeatureWeightsDisplay(
        [[0.9, 0.4, 0.1], [0.8, 0.2, np.nan]], [[0.5, 0.3], [0.9, 0.0]], k=2
    ).plot()
    assert display.dlr_count[0].tolist() == [0, 1, 1, 2, 2]
    assert display.dlr_count[1][:2].tolist() == [1, 1]
    heights = [bar.get_height() for bar in display.axes_[0].patches]
    np.testing.assert_allclose(heights, [0.85, 0.3, 0.1, 0.7, 0.15])
    assert display.axes_[1].get_title("right").startswith("1 (1 to 1) DLR among the 2 largest")
    assert display.axes_[1].get_title("right").endswith("by chance 0.8")


def test_a_block_that_was_left_out_is_among_no_largest():
    display = displays.FeatureWeightsDisplay([[0.2, 0.0]], [[0.0, 0.0]], k=3)
    assert display.dlr_count[0].tolist() == [0, 0, 1, 2]


def test_weights_are_ordered_within_each_fold_model(data):
    display = displays.FeatureWeightsDisplay.from_comparison(data.found)
    table = data.found.weights.query("feature_set == 'HCR+DLR-MI' and fold == 1")
    own = table.query("block == 'learned'")["weight"].abs()
    np.testing.assert_allclose(display.dlr_weights[1], sorted(own, reverse=True))
    assert display.hcr_weights.shape == (3, 8)
    labels = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    assert labels == ["HCR: 8", "DLR: 3"]


def test_weights_of_a_set_without_two_blocks_are_refused(data):
    with pytest.raises(ValueError, match="both hand-crafted and learned"):
        displays.FeatureWeightsDisplay.from_comparison(data.found, feature_set="HCR")
    with pytest.raises(ValueError, match="HCR"):
        displays.FeatureWeightsDisplay.from_comparison(data.found, feature_set="H8")


# Latent space ----------------------------------------------------------------------------------


def test_principal_components_are_those_of_standardised_latents(data):
    display = displays.LatentSpaceDisplay.from_estimator(data.cvae, data.lesions)
    d = data.cvae.transform(data.lesions)[:, 4:]
    values = np.linalg.svd((d - d.mean(axis=0)) / d.std(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(display.explained, values[:2] / values.sum(), rtol=1e-4)
    np.testing.assert_allclose((display.pca**2).sum(axis=0), values[:2], rtol=1e-4)
    assert display.lda is None


def test_discriminants_do_not_separate_noise():
    rng = np.random.default_rng(0)
    noise, y = rng.normal(size=(60, 30)), np.repeat([0, 1], 30)
    display = displays.LatentSpaceDisplay.from_latents(noise, y)
    naive = LinearDiscriminantAnalysis().fit(noise, y).transform(noise)[:, 0]
    assert roc_auc_score(y, naive) > 0.85
    assert 0.3 < roc_auc_score(y, display.lda[:, 0]) < 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_discriminants_separate_what_differs_in_all_folds(n_classes):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_classes), 20)
    latents = rng.normal(size=(len(y), 5)) + 8 * np.eye(5)[y]
    lda = displays.LatentSpaceDisplay.from_latents(latents, y).lda
    centres = np.array([lda[y == k].mean(axis=0) for k in range(n_classes)])
    nearest = np.linalg.norm(lda[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == y).all()


def test_classes_too_small_for_held_out_discriminants_leave_the_panel_out():
    display = displays.LatentSpaceDisplay.from_latents(np.eye(5), ["a", "a", "a", "a", "b"])
    assert len(display.axes_) == 1


def test_lesions_take_their_samples_label(data):
    table = LesionTable(
        data.lesions.features.reset_index(drop=True),
        patches=data.lesions.patches,
        masks=data.lesions.masks,
        sample=np.repeat(np.arange(15), 2),
    )
    y = np.arange(15) % 2
    display = displays.LatentSpaceDisplay.from_estimator(data.cvae, table, y)
    assert display.y.tolist() == np.repeat(y, 2).tolist()


def test_latents_of_one_fold_are_drawn_with_their_labels(data):
    display = displays.LatentSpaceDisplay.from_comparison(data.found, feature_set="DLR", fold=2)
    latents = data.found.latents["DLR"].query("fold == 2")
    truth = data.found.predictions.drop_duplicates("sample").set_index("sample")["y"]
    assert display.y.tolist() == truth[latents.index].tolist()
    assert "fold 2" in display.title
    with pytest.raises(ValueError, match="DLR-MI"):
        displays.LatentSpaceDisplay.from_comparison(data.found, feature_set="PCA")
    with pytest.raises(ValueError, match="trained no network"):
        displays.LatentSpaceDisplay.from_comparison(SimpleNamespace(latents={}))


def test_bad_columns_and_outputs_are_named(data):
    with pytest.raises(ValueError, match="'age'.*'volume'"):
        displays.LatentSpaceDisplay.from_estimator(data.cvae, data.lesions, colour_by="age")
    only = NonRedundantCVAE(max_epochs=1, output="hcr", random_state=0).fit(data.lesions)
    with pytest.raises(ValueError, match="output="):
        displays.CorrelationMapDisplay.from_estimator(only, data.lesions)


def test_correlations_are_spearmans(data):
    display = displays.CorrelationMapDisplay.from_estimator(
        data.cvae, data.lesions, features=["volume", "entropy"]
    )
    d = data.cvae.transform(data.lesions)[:, 4:]
    expected = [
        [spearmanr(data.lesions.features[name], column).statistic for column in d.T]
        for name in ("volume", "entropy")
    ]
    np.testing.assert_allclose(display.correlation, expected, atol=1e-12)
    assert display.features == ["volume", "entropy"]
    assert display.latents == [f"dlr{i:02d}" for i in range(4)]


def test_the_features_with_the_largest_correlations_are_drawn():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"dlr00": rng.normal(size=40)})
    h = pd.DataFrame(rng.normal(size=(40, 5)), columns=list("abcde"))
    h["d"] = -np.exp(d["dlr00"])
    h["constant"] = 1.0
    display = displays.CorrelationMapDisplay.from_features(h, d, n_features=1)
    assert display.features == ["d"]
    assert display.correlation.tolist() == [[-1.0]]
    assert [text.get_text() for text in display.ax_.texts] == ["−1.0"]


# Images ----------------------------------------------------------------------------------------


def test_reconstructions_are_the_networks_with_their_error(data):
    display = displays.ReconstructionDisplay.from_estimator(data.cvae, data.lesions, rows=[7, 2])
    mask = data.lesions.masks[[7, 2], 0]
    patches = data.lesions.patches[[7, 2], 0]
    drawn = data.cvae.reconstruct(data.lesions[[7, 2]])[:, 0]
    assert display.names == ["case07", "case02"]
    np.testing.assert_array_equal(display.original, patches)
    np.testing.assert_array_equal(display.reconstructed, np.where(mask, drawn, np.nan))
    expected = [np.sqrt(np.mean((drawn - patches)[i][mask[i]] ** 2)) for i in range(2)]
    np.testing.assert_allclose(display.l2, expected, rtol=1e-5)
    shown = display.axes_[1, 2].images[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), ~mask[1])
    assert display.axes_[0, 3].get_xlabel() == f"l2 error {expected[0]:.3g}"


class Doubling:
    """Reconstructs each patch as its double."""

    def reconstruct(self, X):
        return 2 * X.patches


def test_volumes_are_shown_by_middle_slice_or_maximum():
    patches = np.zeros((1, 1, 6, 4, 4), dtype=np.float32)
    masks = np.zeros(patches.shape, dtype=bool)
    masks[0, 0, 2:5, 1:3, 1:3] = True
    patches[0, 0, 3] = 1
    patches[0, 0, 2, 1, 1], patches[0, 0, 0] = 5, 9
    table = LesionTable.from_arrays(patches=patches, masks=masks)
    middle = displays.ReconstructionDisplay.from_estimator(Doubling(), table)
    assert (middle.original == 1).all()
    assert np.nansum(middle.masked) == 4
    assert middle.axes_[0, 0].get_xlabel() == "middle slice"
    highest = displays.ReconstructionDisplay.from_estimator(Doubling(), table, view="mip")
    assert (highest.original == 9).all()
    inside = np.array([[5, 1], [1, 1]])
    np.testing.assert_array_equal(highest.masked[0, 1:3, 1:3], inside)
    np.testing.assert_array_equal(highest.reconstructed[0, 1:3, 1:3], 2 * inside)
    assert np.isnan(highest.error).sum() == 12
    # Four voxels of 1 and one of 5 out of twelve.
    assert highest.l2[0] == middle.l2[0] == pytest.approx(np.sqrt((4 + 25) / 12))


def test_lesions_without_masks_are_drawn_whole():
    table = LesionTable.from_arrays(patches=np.ones((2, 1, 4, 4)) * [[[[1]]], [[[2]]]])
    display = displays.ReconstructionDisplay.from_estimator(Doubling(), table)
    np.testing.assert_array_equal(display.masked, display.original)
    np.testing.assert_allclose(display.l2, [1, 2])
    assert not display.axes_[0, 0].collections


def test_images_need_patches(data):
    table = LesionTable(data.lesions.features)
    with pytest.raises(ValueError, match="patch_shape"):
        displays.ReconstructionDisplay.from_estimator(data.cvae, table)


def test_traversals_are_the_networks_with_differences_to_the_middle(data):
    display = displays.TraversalDisplay.from_estimator(
        data.cvae, data.lesions, row=5, latents=[2], span=1.5, n_steps=3
    )
    drawn = data.cvae.traverse(data.lesions[[5]], 2, [-1.5, 0, 1.5])[0, :, 0]
    mask = data.lesions.masks[5, 0]
    np.testing.assert_allclose(display.images[0][:, mask], drawn[:, mask], rtol=1e-5)
    assert np.isnan(display.images[0][:, ~mask]).all()
    np.testing.assert_allclose(
        display.differences[0][:, mask], (drawn - drawn[1])[:, mask], atol=1e-5
    )
    assert [ax.get_title() for ax in display.axes_[0]] == ["−1.5", "0", "+1.5"]
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["dlr02", "difference"]
    low, high = display.axes_[1, 0].images[0].get_clim()
    assert low == -high


def test_lesions_of_a_graph_lie_on_their_voxels(data):
    for projection in ("coronal", "sagittal", "axial"):
        display = displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients, image=data.uptake, projection=projection
        )
        left, right, bottom, top = display.extent
        height, width = display.image.shape
        columns = (display.places[:, 0] - left) / (right - left) * width
        rows = (display.places[:, 1] - bottom) / (top - bottom) * height
        seen = display.image[rows.astype(int), columns.astype(int)]
        # Lesions may hide each other; a lesion is never where nothing is.
        assert (seen >= 10.0 + np.arange(5)).all(), projection
        axes = {"coronal": [2, 0], "sagittal": [1, 0], "axial": [2, 1]}[projection]
        bare = displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients, projection=projection
        )
        np.testing.assert_allclose(bare.places, data.patients[[0]].positions[:, axes])


def test_sizes_and_widths_of_a_graph_are_its_attention(data):
    display = displays.PatientGraphDisplay.from_estimator(data.graph, data.patients)
    found = data.graph.explain(data.patients[[0]])
    lines, dots = display.ax_.collections
    weights = found.loc[found["kind"] == "lesion", "weight"].to_numpy()
    np.testing.assert_allclose(dots.get_sizes() / dots.get_sizes().max(), weights / weights.max())
    edges = found[found["kind"] == "edge"]
    both = {frozenset(pair): 0.0 for pair in display.pairs.tolist()}
    for a, b, weight in edges[["lesion", "other", "weight"]].itertuples(index=False):
        both[frozenset((a, b))] += weight
    drawn = lines.get_linewidths() / np.max(lines.get_linewidths())
    np.testing.assert_allclose(drawn, np.array([*both.values()]) / max(both.values()), rtol=1e-6)
    assert sum(both.values()) == pytest.approx(1, abs=1e-5)


def test_a_graph_of_one_lesion_has_no_pairs(data):
    display = displays.PatientGraphDisplay.from_estimator(data.graph, data.patients, row=1)
    assert len(display.ax_.collections) == 1
    assert display.weights.tolist() == pytest.approx([1.0])
    assert display.title.startswith("patient01: ")


def test_a_flat_image_is_drawn_as_it_is():
    display = displays.PatientGraphDisplay(
        places=[[1, 2]], weights=[1], pairs=[], pair_weights=[], axes_names=("x", "y")
    ).plot()
    bottom, top = display.ax_.get_ylim()
    assert bottom > top


def test_a_graph_cannot_be_drawn_nowhere(data):
    with pytest.raises(ValueError, match="the table has no positions"):
        displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients.replace(positions=None)
        )
    with pytest.raises(ValueError, match="projection must be one of"):
        displays.PatientGraphDisplay.from_estimator(data.graph, data.patients, projection="top")
