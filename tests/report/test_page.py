"""The report is one file that says what the comparison found, whatever the names in it hold."""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from cohorts_for_tests import make_table
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets, displays
from nonredundant.report import write_report

mpl.use("Agg")

#: Names that end a tag, open one or stand for another letter if they are not escaped.
CLASSES = np.array(["<b>benign & co", 'malignant "&lt;"'])
FEATURE = "original_glcm_<script>alert('1')</script>"
LOST = "case </table><img src=x>"
SECTIONS = ("audit", "pictures", "calibration", "warnings", "failed")
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page and the text of those with an id; raises where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(page)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id", "")))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        tags = [tag for tag, _ in self._open]
        if "style" in tags:
            return
        self.text += data
        if "td" in tags or "th" in tags:
            self.rows[-1][-1] += data
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    def of(self, *tags: str) -> list[dict[str, str]]:
        """Return the attributes of all elements with these tags."""
        return [attrs for tag, attrs in self.elements if tag in tags]

    @property
    def ids(self) -> list[str]:
        """All ids, in their order."""
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def answer_to(self, item: str) -> list[str]:
        """Return the row of the checklist whose item starts so: done, and what was found."""
        found = [row[1:3] for row in self.rows if len(row) == 5 and row[0].startswith(item)]
        assert len(found) == 1, (item, found)
        return found[0]


def read(comparison, folder) -> Page:
    """Write the report of a comparison and read it."""
    return Page(write_report(comparison, folder / "report.html").read_text(encoding="utf-8"))


def changed(comparison, **parts):
    """Return a comparison with some of its parts replaced."""
    return replace(comparison, **parts)


def compare(table, y, **settings):
    """Compare with classifiers that take no time, and no baselines."""
    defaults = {
        "feature_sets": ["HCR"],
        "classifiers": {"LR": LogisticRegression()},
        "baselines": False,
        "cv": 3,
        "random_state": 0,
    }
    return compare_feature_sets(table, y, **{**defaults, **settings})


@pytest.fixture(scope="module")
def found():
    """A comparison with everything in it: networks, an audit, a lost case, odd names."""
    table, y = make_table(64)
    features = table.features.rename(columns={"original_glcm_F0": FEATURE})
    status = ["ok"] * 64
    index = list(table.index)
    status[5], index[5] = "no <mask> & no image", LOST
    table = LesionTable(
        features, patches=table.patches, masks=table.masks, status=status, index=index
    )
    with pytest.warns(UserWarning, match="could not be extracted"):
        return compare(
            table,
            CLASSES[y],
            cvae=NonRedundantCVAE(dlr_size=3, max_epochs=2, network={"width": 4}),
            feature_sets=["HCR", "HCR+DLR", "HCR+DLR-MI"],
            classifiers={"LR": None, "mine": LogisticRegression(C=0.1)},
            audit=["dcor", "r2-ridge"],
        )


@pytest.fixture(scope="module")
def file(found, tmp_path_factory):
    """Its report."""
    return write_report(found, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def page(file):
    """The report, read."""
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave the pictures out where a test is about text, as they take a second."""
    monkeypatch.setattr("nonredundant.report.page.draw_figures", lambda *_: ({}, []))


@pytest.fixture(scope="module")
def plain():
    """A comparison of hand-crafted features alone, of three classes."""
    table, y = make_table(60, n_classes=3)
    return compare(table.replace(patches=None, masks=None), y)


def test_first_screen_gives_the_answer_and_the_primary_sets(found, page):
    assert page.texts["answer"] == found.answer()
    heads = ["feature set", "AUC", "95 % interval", "gain over HCR", "p"]
    start = page.rows.index(heads)
    assert [row[0] for row in page.rows[start + 1 : start + 4]] == ["HCR", "HCR+DLR", "HCR+DLR-MI"]
    tests = found.tests.set_index(["feature_set", "reference", "classifier"])
    gain = tests.loc[("HCR+DLR-MI", "HCR", "LR")]
    assert page.rows[start + 3][3:] == [f"{gain['estimate']:+.3f}", f"{gain['p_value']:.3f}"]


def test_every_number_of_the_tests_is_there(found, page):
    for _, test in found.tests.iterrows():
        row = [test["feature_set"], test["reference"], test["classifier"]]
        row += [f"{test['estimate']:+.3f}", f"{test['low']:+.3f} to {test['high']:+.3f}"]
        row += [f"{test['p_value']:.3f}", f"{test['p_holm']:.3f}"]
        rows = [
            [cell.replace("+0.000", "0.000").replace("-0.000", "0.000") for cell in r]
            for r in (row, *page.rows)
        ]
        assert rows[0] in rows[1:], row


def test_ids_are_unique_and_links_lead_somewhere(page):
    assert len(set(page.ids)) == len(page.ids)
    for link in page.of("a"):
        assert link["href"].startswith("https://") or link["href"].removeprefix("#") in page.ids


def test_nothing_is_loaded_and_nothing_runs(file, page):
    assert not page.of("script", "iframe", "object", "embed")
    sources = [
        attrs[key] for _, attrs in page.elements for key in ("src", "srcset") if key in attrs
    ]
    sources += [attrs["href"] for attrs in page.of("link")]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    text = file.read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


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


def test_names_are_shown_as_they_are(found, page):
    assert not page.of("b")
    for name in (*CLASSES, LOST, "no <mask> & no image"):
        assert name in page.text
    assert found.settings.failed == {LOST: "no <mask> & no image"}
    assert [LOST, "no <mask> & no image"] in page.rows
    shown = page.texts["warnings"]
    assert all(message in shown for message in found.warnings)


def test_settings_and_versions_suffice_for_a_repetition(found, page):
    shown = page.texts["settings"]
    for name, version in found.settings.versions.items():
        assert f"{name} {version}" in shown
    for key in ("seed", "feature_sets", "cvae", "provenance", "class_weight"):
        assert f'"{key}":' in shown
    assert str(found.settings.seed) in shown


def test_sections_without_content_are_left_out(plain, page, tmp_path):
    assert set(SECTIONS) <= set(page.ids)
    short = read(plain, tmp_path)
    assert not set(SECTIONS) & set(short.ids)
    assert {link["href"] for link in short.of("a")}.isdisjoint(f"#{name}" for name in SECTIONS)
    assert short.texts["answer"] == plain.answer()
    assert [name for name in short.ids if name.startswith("figure-")] == ["figure-forest"]


def test_verdict_follows_the_test(found, tmp_path, no_pictures):
    def with_first(p, estimate):
        tests = found.tests.copy()
        chosen = np.all([tests[k] == v for k, v in found.primary.items()], axis=0)
        tests.loc[chosen, ["p_value", "estimate"]] = p, estimate
        return read(changed(found, tests=tests), tmp_path)

    for p, estimate, verdict in ((0.2, 0.1, "none"), (0.01, 0.1, "gain"), (0.01, -0.1, "loss")):
        page = with_first(p, estimate)
        assert (
            next(e["class"] for e in page.of("p") if e.get("id") == "answer") == f"answer {verdict}"
        )


def test_disagreement_of_tests_is_told_on_the_first_screen(found, tmp_path, no_pictures):
    at = {k: v for k, v in found.primary.items() if k != "classifier"}

    def with_p(first, pooled):
        tables = {}
        for name, p in (("tests", first), ("pooled_tests", pooled)):
            table = getattr(found, name).copy()
            chosen = np.all([table[k] == v for k, v in at.items()], axis=0)
            table.loc[chosen, ["estimate", "p_value"]] = 0.1, p
            tables[name] = table
        return read(changed(found, **tables), tmp_path).text

    same = "The result is the same in 3 of 3 further tests of this difference."
    assert same in with_p(0.2, 0.3)
    assert (
        "The result differs in 2 of 3 further tests of this difference: LR by DeLong, pooled "
        "out-of-fold (+0.100, p = 0.010); mine by DeLong, pooled out-of-fold (+0.100, p = 0.010)."
    ) in with_p(0.2, 0.01)


def test_redundancy_is_summed_up_on_the_first_screen(found, plain, tmp_path, no_pictures):
    def with_p(table):
        audit = found.redundancy[found.redundancy["feature_set"].isin(["DLR", "DLR-MI"])].copy()
        for (name, method), p in table.items():
            chosen = (audit["feature_set"] == name) & (audit["method"] == method)
            audit.loc[chosen, ["p_value", "estimate", "null_mean"]] = p, 0.5, 0.1
        methods = {method for _, method in table}
        return read(changed(found, redundancy=audit[audit["method"].isin(methods)]), tmp_path).text

    both = with_p(
        {("DLR", m): 0.001 for m in ("dcor", "r2-ridge")}
        | {("DLR-MI", "dcor"): 0.4, ("DLR-MI", "r2-ridge"): 0.01}
    )
    assert (
        "1 of 2 newly trained estimators detect the hand-crafted features in DLR-MI beyond chance "
        "(distance correlation 0.50, by chance 0.10). In DLR, trained without the independence "
        "term, 2 of 2 do"
    ) in both
    one = with_p({("DLR", "dcor"): 0.001, ("DLR-MI", "dcor"): 0.4})
    assert "a newly trained estimator does not detect the hand-crafted features in DLR-MI" in one
    assert "trained without the independence term, it does (" in one
    assert "was not audited" in read(plain, tmp_path).text


def test_checklist_is_read_off_the_run(found, page, plain, tmp_path, no_pictures):
    assert page.answer_to("Data split") == ["yes", "cross-validation, 3 folds"]
    assert page.answer_to("Related samples")[0] == "no"
    assert page.answer_to("Test data outside") == ["no", "none: internal validation only"]
    assert page.answer_to("Cases left out") == ["yes", "1 of 64"]
    assert page.answer_to("Class imbalance") == ["no", "not corrected"]
    assert page.answer_to("Discretisation")[0] == "no"
    assert page.answer_to("Missing values") == ["yes", "by the median"]
    assert page.answer_to("Algorithms") == [
        "yes",
        "LR: LogisticRegression, mine: LogisticRegression",
    ]
    assert page.answer_to("Tuning")[0] == "no"
    assert page.answer_to("Calibration and clinical")[0] == "yes"
    assert page.answer_to("Comparison with models without")[0] == "no"
    n_tests = found.tests["p_value"].notna().sum()
    assert page.answer_to("Paired tests") == [
        "yes",
        f"{n_tests} tests (corrected resampled t), Holm",
    ]
    short = read(plain, tmp_path)
    assert short.answer_to("Tuning") == ["no", "none: classifiers as passed"]
    assert short.answer_to("Calibration and clinical")[0] == "no"
    assert short.answer_to("Paired tests") == ["no", "none"]
    assert short.answer_to("Parameters of the network") == ["no", "no network was trained"]


def test_checklist_and_tables_know_a_test_set_groups_and_weights(tmp_path, no_pictures):
    table, y = make_table(90)
    table = table.replace(patches=None, masks=None)
    names = np.array(["no", "yes"])[y]
    comparison = compare(
        table[:60],
        names[:60],
        test=(table[60:], names[60:]),
        groups=np.arange(60) // 2,
        classifiers="SVM",
        baselines=True,
        cv=2,
        class_weight="balanced",
    )
    page = read(comparison, tmp_path)
    events = int((y[60:] == 1).sum())
    assert page.answer_to("Related samples")[0] == "yes"
    assert page.answer_to("Test data outside") == ["yes", "30 held-out samples"]
    assert page.answer_to("Class imbalance") == ["yes", "class weight balanced"]
    assert page.answer_to("Algorithms") == ["yes", "SVM: SVC"]
    assert page.answer_to("Missing values") == ["yes", "by the median"]
    assert page.answer_to("Tuning")[0] == "yes"
    simple = "volume, max intensity, volume + max intensity"
    assert page.answer_to("Comparison with models without") == ["yes", simple]
    assert f"yes: {events} ({events / 30:.0%})" in page.answer_to("Samples and events")[1]
    for where in ("Scores on the held-out test set", "Scores in cross-validation"):
        assert where in page.text


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


@pytest.fixture(scope="module")
def chromium():
    """Return what runs a page in headless Chromium and hands back its document and its log."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"no browser to open the report in: none of {', '.join(names)} is on the PATH")

    def open_page(file, *options):
        command = [path, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        command += [*options, "--dump-dom", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        log = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, log

    return open_page


def test_browser_shows_it_without_a_complaint(found, file, chromium):
    document, log = chromium(file)
    assert log == []
    assert Page(document).texts["answer"] == found.answer()


@pytest.mark.parametrize("width", [400, 1200])
def test_browser_loads_every_image_and_needs_no_sideways_scrolling(file, chromium, tmp_path, width):
    report = file.read_text(encoding="utf-8")
    # A frame, as a window of a headless browser cannot be as narrow as a phone.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
        <iframe id="frame" width="{width}" height="2000" srcdoc="{html.escape(report)}"></iframe>
        <script>
        addEventListener("load", () => {{
          const page = frame.contentDocument, root = page.documentElement;
          const widths = [...page.images].map((image) => image.naturalWidth);
          const found = [root.clientWidth, root.scrollWidth, ...widths];
          document.documentElement.dataset.found = found.join(" ");
        }});
        </script>""",
        encoding="utf-8",
    )
    document, log = chromium(frame, "--window-size=1300,2000")
    assert log == []
    client, scroll, *images = map(int, re.search('data-found="([^"]*)"', document)[1].split())
    assert width - 20 <= client <= width
    assert scroll <= client
    assert len(images) == 9
    assert min(images) > 0
