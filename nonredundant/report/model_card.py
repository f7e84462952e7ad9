"""The card of a fitted model: what it is, what it was made of, how it did, what it is not for.

The headings are those of Mitchell et al. 2019 (doi 10.1145/3287560.3287596). `skops.card` writes a
diagram and the parameters of any estimator around sections that its author fills in; here the
sections are what a fit knows, and nothing is left to be filled in but what only the authors know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nonredundant.models.sample_categories import named_categories
from nonredundant.report.formatting import count, format_interval, format_number
from nonredundant.report.sections.checklist import METRICS

#: How every card starts.
HEADING = "# Model card"


def model_card(model: Any, *, outcome: str = "the outcome", validation: Any = None) -> str:
    """Describe a fitted model in Markdown.

    Parameters
    ----------
    model : FeatureSetClassifier
        The fitted model.
    outcome : str, default="the outcome"
        Name of what it predicts.
    validation : ModelValidation, optional
        Its results on an external cohort; without them the card says that there are none.

    Returns
    -------
    str
        The card. It has neither ids nor paths.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.evaluation import FeatureSetClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 30)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=60)}))
    >>> model = FeatureSetClassifier("HCR", random_state=0).fit(table, y)
    >>> print(model_card(model, outcome="relapse").splitlines()[0])
    # Model card: relapse by HCR
    """
    parts = [
        f"{HEADING}: {outcome} by {model.feature_set_}",
        *_model(model),
        *_use(model, outcome),
        *_data(model),
        *_performance(model, validation),
        *_limits(model, validation),
        *_checklist(model, validation),
    ]
    return "\n\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Return a cell of Markdown; names may hold its signs."""
    return str(value).replace("|", r"\|").replace("\n", " ")


def _model(model: Any) -> list[str]:
    """Describe the model."""
    facts = model.facts_
    blocks = ", ".join(f"{n:,} {name}" for name, n in facts["blocks"].items())
    categories = dict.fromkeys([*named_categories(model.cvae), *named_categories(model.embedding)])
    rows = [
        ("feature set", model.feature_set_),
        ("classifier", model.classifier_name_),
        ("chosen by inner cross-validation", _listed(model.chosen_) or "nothing"),
        ("columns before any step", blocks),
        ("clinical columns", ", ".join(facts.get("clinical", [])) or "none"),
        ("steps before network and classifier", "; ".join(facts.get("steps", [])) or "none"),
        ("learned features", len(model.learned_names_) or "none"),
        ("made independent of columns of the samples", ", ".join(categories) or "none"),
        ("compared with", "nothing" if model.reference_ is None else model.reference_.name),
        ("random seed", facts["seed"]),
        ("made", facts["made"]),
        ("versions", _listed(facts["versions"], " ")),
    ]
    return ["## Model", _table(["", ""], rows)]


def _use(model: Any, outcome: str) -> list[str]:
    """Say what the model is for, and what not."""
    what = f"the probability of each class of {outcome}"
    if not len(model.classes_):
        what = f"the risk of {outcome}, on a scale without unit"
    return [
        "## Intended use",
        f"Research on lesions like those of the training cohort: the model gives {what} for images "
        "or features that were acquired, delineated and extracted as described below.",
        "It is not a medical device. A prediction for one patient is no diagnosis, and no "
        "treatment may depend on it.",
    ]


def _data(model: Any) -> list[str]:
    """Describe the training cohort and the extraction."""
    facts = model.facts_
    rows = [
        ("samples", f"{facts['n_samples']:,}"),
        ("lesions", f"{facts['n_lesions']:,}"),
        ("left out, as they could not be read", facts["n_failed"]),
        ("groups kept together", "none" if facts["n_groups"] is None else facts["n_groups"]),
        *((f"of the outcome: {name}", n) for name, n in facts["outcome"].items()),
    ]
    parts = ["## Training data", _table(["", ""], rows)]
    for image, sections in facts["settings"].items():
        listed = [(f"{part}: {k}", v) for part, own in sections.items() for k, v in own.items()]
        if listed:
            title = f"Settings of pyradiomics{f' for {image}' if image else ''}:"
            parts += [title, _table(["setting", "value"], listed)]
    if not any(facts["settings"].values()):
        parts.append("How the features were extracted is not recorded: a table was passed.")
    return parts


def _performance(model: Any, validation: Any) -> list[str]:
    """Tabulate what was measured."""
    found = model.performance()
    parts = ["## Performance"]
    if found.empty:
        parts.append("Not measured: the model was fitted without folds.")
    else:
        rows = [
            (row.measure, format_number(row.estimate), _interval(row)) for row in found.itertuples()
        ]
        n = len(model.fold_models_)
        parts += [
            f"By models of {count(n, 'fold')}, each on samples that it did not see; the model of "
            "this card is fitted on all of them.",
            _table(["measure", "estimate", "95 % interval"], rows),
        ]
    if not len(model.classes_):
        parts.append(
            "Of times to an event the model gives a risk alone: no interval of the time, no "
            "conformal set, and no net benefit, which is known of classes only."
        )
    if hasattr(model, "predict_set"):
        smallest = min(model.facts_["outcome"].values())
        parts.append(
            f"Conformal sets of classes come from the same folds; the rarest class has {smallest} "
            f"samples, which allows a coverage of up to {100 * (1 - 1 / (smallest + 1)):.0f} %."
        )
    if validation is not None:
        parts += ["On an external cohort:", validation.answer()]
    return parts


def _interval(row: Any) -> str:
    """Return the interval of an estimate, or why there is none."""
    interval = format_interval(row.low, row.high)
    return f"{interval}: {row.reason}" if row.reason else interval


def _limits(model: Any, validation: Any) -> list[str]:
    """Say what the model was not tested on."""
    untested = [
        "scanners, protocols, delineations and populations other than those of the training data",
        "repeated scans and other readers of the same patients",
        "whether decisions that follow it are better than those without it",
    ]
    if validation is None:
        untested.insert(0, "any external cohort: `nonredundant validate` does so")
    if not hasattr(model, "predict_set"):
        untested.append("the coverage of conformal sets: it gives none")
    return [
        "## Not tested on",
        "\n".join(f"- {line}" for line in untested),
        "New cases are compared with the ranges of features, grey levels and voxel sizes of the "
        "training data, and those outside are named. A case inside of them may still be unlike it.",
    ]


def _checklist(model: Any, validation: Any) -> list[str]:
    """Answer the items of CLEAR and METRICS that the fit itself answers."""
    facts, measured = model.facts_, not model.performance().empty
    recorded = any(facts["settings"].values())
    version = facts["versions"].get("pyradiomics") or facts["versions"].get("pyradiomics-cuda")
    useful = validation is not None and not validation.net_benefit.empty
    items = [
        ("21, 22", "Pre-processing and resampling", recorded),
        ("23", "Discretisation of grey levels", recorded),
        ("25", "Software that extracted the features", recorded and version is not None),
        ("26", "Feature classes", recorded),
        ("27", "Number of hand-crafted features", facts["blocks"].get("hcr", 0) > 0),
        ("34", "Algorithms", True),
        ("35, 37", "Tuning by inner cross-validation", bool(model.chosen_)),
        ("40, 47", "Scores with 95 % intervals", measured),
        ("39", "Calibration and clinical utility", useful),
        ("–", "Test data outside of cross-validation", validation is not None),
        ("55, 56", "Settings, seed and versions in this file", True),
    ]
    rows = [
        (topic, "yes" if done else "no", clear, METRICS.get(topic, "–"))
        for clear, topic, done in items
    ]
    return [
        "## Checklist",
        "Items of CLEAR (doi 10.1186/s13244-023-01415-8) and METRICS (doi "
        "10.1186/s13244-023-01572-w) that the fit itself answers; its authors must answer the "
        "others, among them eligibility, ethics, segmentation and reference standard.",
        _table(["item", "done", "CLEAR", "METRICS"], rows),
    ]


def _listed(values: dict[str, Any], between: str = " = ") -> str:
    """List names with their values."""
    return ", ".join(f"{name}{between}{value}" for name, value in values.items())
