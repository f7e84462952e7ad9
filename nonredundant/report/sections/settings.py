"""Section: settings and versions, enough to run the comparison again."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from nonredundant.report.descriptions import validation_text
from nonredundant.report.formatting import Table, pair_table
from nonredundant.report.section import Block, Section

#: Parameters of the network in the table; the others stand in the appendix below it.
_NETWORK = ("dlr_size", "independence", "kappa", "beta", "gamma", "max_epochs", "batch_size", "lr")
_APPENDIX = Markup(
    '<div class="box">\n<p class="above">All settings</p>\n'
    '<div class="scroll tall" tabindex="0" role="region" aria-label="All settings">'
    "<pre>{}</pre></div>\n</div>"
)


def _content(comparison: Any) -> list[Block]:
    """Tabulate the main settings, and print all of them."""
    settings = comparison.settings
    text = json.dumps(settings.to_dict(), indent=2, default=str, ensure_ascii=False)
    return [_table(settings), _APPENDIX.format(text)]


def _table(settings: Any) -> Table:
    """Tabulate the main settings."""
    network = settings.cvae or {}
    parts = [f"{name} {seconds:.0f} s" for name, seconds in settings.seconds.items()]
    return pair_table(
        [
            ("feature sets", ", ".join(settings.feature_sets)),
            ("classifiers", ", ".join(settings.classifiers)),
            ("metrics", ", ".join(settings.scoring)),
            ("validation", validation_text(settings)),
            ("experiment", settings.experiment),
            ("class weight", settings.class_weight),
            ("sampler", settings.sampler),
            ("network", ", ".join(f"{k} = {network[k]}" for k in _NETWORK if k in network)),
            ("extraction", settings.extractor or "none: a lesion table was passed"),
            ("plan", _plan_text(settings.registration)),
            ("seed", settings.seed),
            ("versions", _versions_text(settings)),
            ("parallel fits", settings.n_jobs or 1),
            ("time", f"{settings.total_seconds:.0f} s in total: {', '.join(parts)}"),
            ("finished", settings.made),
        ]
    )


def _plan_text(registration: Any) -> str:
    """Say when the plan was recorded, and how often its outcomes have been analysed."""
    runs = registration["n_runs"]
    times = "runs on these outcomes are not counted without a `memory`"
    if runs is not None:
        times = f"run number {runs} on these outcomes"
    return f"{registration['plan']}, recorded {registration['made']}; {times}"


def _versions_text(settings: Any) -> str:
    """List the versions, and those at extraction where they differ."""
    own, extracted = settings.versions, settings.provenance.get("versions", {})
    text = ", ".join(f"{name} {version}" for name, version in own.items())
    others = [f"{k} {v}" for k, v in extracted.items() if own.get(k) != v]
    return text + (f"; at extraction {', '.join(others)}" if others else "")


SECTION = Section("settings", "Settings and versions", _content)
