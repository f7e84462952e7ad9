"""The report is one valid file that loads nothing, whatever the names in it contain."""

from __future__ import annotations

import html
import re
import shutil
import subprocess

import pytest
from pages_for_tests import CLASSES, LOST, Page, read

SECTIONS = ("audit", "pictures", "calibration", "warnings", "failed")


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


def test_names_are_shown_as_they_are(found, page):
    assert not page.of("b")
    for name in (*CLASSES, LOST, "no <mask> & no image"):
        assert name in page.text
    assert found.settings.failed == {LOST: "no <mask> & no image"}
    assert [LOST, "no <mask> & no image"] in page.rows
    shown = page.texts["warnings"]
    assert all(message in shown for message in found.warnings)


def test_policy_of_the_page_allows_pictures_and_styles_alone(page):
    policies = [one["content"] for one in page.of("meta") if "http-equiv" in one]
    assert len(policies) == 1
    rules = dict(rule.split(maxsplit=1) for rule in policies[0].split("; "))
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert rules["img-src"] == "data:"


def test_names_with_dollar_signs_are_drawn_as_they_are(page):
    assert "Not drawn" not in page.text


def test_sections_without_content_are_left_out(plain, page, tmp_path):
    assert set(SECTIONS) <= set(page.ids)
    short = read(plain, tmp_path)
    assert not set(SECTIONS) & set(short.ids)
    assert {link["href"] for link in short.of("a")}.isdisjoint(f"#{name}" for name in SECTIONS)
    assert short.texts["answer"] == plain.answer()
    assert [name for name in short.ids if name.startswith("figure-")] == ["figure-forest"]


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
