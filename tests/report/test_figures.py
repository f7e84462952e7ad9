"""The figures of the report."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from pages_for_tests import read

from nonredundant import displays
from nonredundant.report import write_report


def test_pictures_are_whole_and_captioned(page):
    pictures = page.of("img")
    figures = {name.removeprefix("figure-") for name in page.ids if name.startswith("figure-")}
    named = {
        "forest",
        "redundancy",
        "roc",
        "weights",
        "latents",
        "losses",
        "atlas",
        "reliability",
        "benefit",
    }
    assert figures == named
    assert len(pictures) == len(named)
    for picture in pictures:
        kind, _, content = picture["src"].partition(";base64,")
        assert kind == "data:image/png"
        pixels = plt.imread(io.BytesIO(base64.b64decode(content, validate=True)))
        # More than an empty canvas, and shown in the picture's own proportions.
        assert pixels[..., :3].std() > 0.05
        shape = int(picture["height"]) / int(picture["width"])
        assert pixels.shape[0] / pixels.shape[1] == pytest.approx(shape, rel=0.02)
        assert picture["alt"]


def test_a_picture_that_cannot_be_drawn_costs_nothing_else(found, tmp_path, monkeypatch):
    def fail(*_, **__):
        plt.figure()
        raise ValueError("no <colour> left")

    monkeypatch.setattr(displays.RocBandDisplay, "from_comparison", fail)
    page = read(found, tmp_path)
    assert "Not drawn: ROC curves: no <colour> left" in page.texts["warnings"]
    assert "figure-roc" not in page.ids
    assert "figure-forest" in page.ids
    assert not plt.get_fignums()


def test_the_users_pictures_and_style_stay_apart(plain, tmp_path):
    before = write_report(plain, tmp_path / "one.html").read_text(encoding="utf-8")
    own = plt.figure()
    with plt.style.context("dark_background"):
        after = write_report(plain, tmp_path / "two.html").read_text(encoding="utf-8")
        assert mpl.rcParams["axes.facecolor"] == "black"
    assert plt.get_fignums() == [own.number]
    plt.close(own)
    assert after == before
