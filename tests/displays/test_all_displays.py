"""What all displays have in common. Figures are tested for their artists, not for pixels."""

from __future__ import annotations

import inspect
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection

from nonredundant import displays
from nonredundant.displays import style as look
from nonredundant.inspection import latent_atlas, latent_stability
from nonredundant.stability import repeat_stability


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


def _shaken(lesions):
    """Return a second measurement of lesions."""
    noise = np.random.default_rng(0).normal(size=lesions.features.shape)
    return lesions.replace(features=lesions.features + noise * [0.1, 0.2, 0.5, 1.0])


def _from_selection(data, ax=None):
    """Draw how often three of eight features were chosen."""
    selected = pd.DataFrame({"feature": ["volume", "energy", "entropy"], "share": [1.0, 0.7, 0.3]})
    stability = {"n_features": 8, "stability": 0.5, "low": 0.2, "high": 0.8}
    comparison = SimpleNamespace(
        selected=selected.assign(step="pick"),
        selection_stability=pd.DataFrame([stability]).assign(step="pick"),
    )
    return displays.SelectionFrequencyDisplay.from_comparison(comparison, ax=ax)


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
    "SelectionFrequencyDisplay": (_from_selection, lambda ax: len(ax.patches), [3]),
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
    "NetBenefitDisplay": (
        lambda data, ax=None: displays.NetBenefitDisplay.from_predictions(
            [0, 1, 0, 1], {"HCR": [0.1, 0.8, 0.6, 0.9]}, ax=ax
        ),
        _count("lines"),
        [3],
    ),
    "PatientGraphDisplay": (_from_graph(), _graph_parts, [(5, 10, 3, 1)]),
    "PatientGraphDisplay without an image": (
        _from_graph(image=None),
        _graph_parts,
        [(5, 10, 3, 0)],
    ),
    "StabilityDisplay": (
        lambda data, ax=None: repeat_stability([data.lesions, _shaken(data.lesions)]).plot(ax=ax),
        _markers,
        [4 + 2],
    ),
    "SweepDisplay": (
        lambda data, ax=None: displays.SweepDisplay.from_frame(data.sweep, ax=ax),
        lambda ax: (len(ax.containers), len(ax.texts)),
        [(1, 2), (1, 2)],
    ),
}
#: Those that stand in the report, whose figures are saved for print.
REPORTED = [
    "CalibrationBandDisplay",
    "FeatureSetComparisonDisplay",
    "FeatureWeightsDisplay",
    "LatentAtlasDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "PatientGraphDisplay",
    "RedundancyDisplay",
    "SelectionFrequencyDisplay",
    "RocBandDisplay",
    "StabilityDisplay",
]
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


def test_every_display_is_drawn_here():
    assert {name.split()[0] for name in DRAWN} == set(displays.__all__)


@pytest.mark.parametrize("name", displays.__all__)
def test_every_display_is_made_and_drawn_in_the_same_way(name):
    kind = getattr(displays, name)
    makers = [getattr(kind, maker) for maker in vars(kind) if maker.startswith("from_")]
    assert makers
    for maker in makers:
        ax = inspect.signature(maker).parameters["ax"]
        assert (ax.kind, ax.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert list(inspect.signature(kind.plot).parameters) == ["self", "ax"]


def test_a_display_stores_its_arguments(drawn):
    kind = type(drawn.display)
    assert {*inspect.signature(kind).parameters} <= {*vars(drawn.display)}


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
    check_texts(drawn.display.figure_, smallest=7)


@pytest.mark.parametrize("name", REPORTED)
@pytest.mark.parametrize("millimetres", [85, 180])
def test_on_paper_figures_are_as_wide_as_asked_and_legible(name, millimetres, data):
    with look.on_paper(millimetres):
        figure = DRAWN[name][0](data).figure_
        assert figure.get_size_inches()[0] == pytest.approx(millimetres / 25.4)
        check_texts(figure, smallest=5.5)
    assert look.single(None, (3, 2)).figure.get_size_inches().tolist() == [3, 2]


def check_texts(figure, smallest):
    """Check that texts are inside of the figure and large enough, and that ticks are apart."""
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
                assert text.get_fontsize() >= smallest


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
