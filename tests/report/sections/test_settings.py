"""Settings and versions."""

from __future__ import annotations


def test_settings_and_versions_suffice_for_a_repetition(found, page):
    shown = page.texts["settings"]
    for name, version in found.settings.versions.items():
        assert f"{name} {version}" in shown
    for key in ("seed", "feature_sets", "cvae", "provenance", "class_weight"):
        assert f'"{key}":' in shown
    assert str(found.settings.seed) in shown
