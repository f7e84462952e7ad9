"""Text for the methods part of a paper, from what was run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nonredundant.displays.names import method_name, metric_name
from nonredundant.metrics.audit import SHARE
from nonredundant.report.descriptions import class_shares, validation_text
from nonredundant.report.formatting import count
from nonredundant.report.references import REFERENCES, citation_text

#: A reference in a text, replaced by its number.
_CITED = re.compile(r"\[(\w+)\]")
#: Tests of paired differences by the name of their method, with their references.
_TESTS = {
    "influence curve": "the influence of each patient on the cross-validated score [ledell]",
    "corrected resampled t": "the corrected resampled t-test over folds [nadeau]",
    "DeLong": "DeLong's test [delong]",
    "DeLong, clustered": "DeLong's test, clustered by patient [delong]",
    "paired concordance": "the jackknife of paired concordances [kang]",
    "paired bootstrap": "the paired bootstrap",
}
_INFORMATION = {
    "permutation": "permutation of the added features",
    "double-residual": "permutation of residuals after ridge, kernel and forest models of the "
    "known features",
    "similarity": "their covariance less what patients of similar known features share",
}


def methods_text(comparison: Any) -> str:
    """Write what was done as text that can be pasted into a paper, with its references.

    Only what was run is written: the parameters, numbers of samples and versions are those of the
    comparison. What a program cannot know (eligibility, ethics, imaging, segmentation) is marked by
    square brackets that the authors fill in.

    Parameters
    ----------
    comparison : FeatureSetComparison
        What `compare_feature_sets` returned.

    Returns
    -------
    str
        Paragraphs, then the numbered references.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, compare_feature_sets
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> table = LesionTable(pd.DataFrame({"uptake": y + rng.normal(size=60)}))
    >>> found = compare_feature_sets(
    ...     table, y, feature_sets=["HCR"], classifiers="LR", baselines=False, random_state=0
    ... )
    >>> "60 patients (0: 30 (50 %), 1: 30 (50 %))" in methods_text(found)
    True
    """
    parts = (_cohort, _features, _network, _models, _tests, _audit, _software)
    paragraphs = [text for part in parts if (text := " ".join(part(comparison)))]
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[1] not in REFERENCES:
            return match[0]
        return f"[{numbers.setdefault(match[1], len(numbers) + 1)}]"

    texts = [_CITED.sub(number, text) for text in paragraphs]
    listed = [f"{n}. {citation_text(key)}" for key, n in numbers.items()]
    references = ["References\n" + "\n".join(listed)] if listed else []
    return "\n\n".join([*texts, *references]) + "\n"


def _cohort(comparison: Any) -> Iterator[str]:
    """Describe patients and outcome."""
    s = comparison.settings
    yield (
        f"The analysis included {count(s.cohort.n_samples, 'patient')} "
        f"({class_shares(s.cohort.class_counts)}) with {count(s.cohort.n_lesions, 'lesion')}."
    )
    if s.failed:
        were = "was" if len(s.failed) == 1 else "were"
        yield f"{count(len(s.failed), 'case')} could not be measured and {were} left out."
    yield "[Eligibility, ethics, imaging protocol, segmentation and reference standard: authors.]"


def _features(comparison: Any) -> Iterator[str]:
    """Describe the known features."""
    s = comparison.settings
    parameters = s.provenance.get("parameters", {})
    setting = parameters.get("setting", {})
    if s.cohort.n_hcr and s.extractor:
        version = s.provenance.get("versions", {}).get("pyradiomics", "")
        text = (
            f"{s.cohort.n_hcr} hand-crafted radiomic features (HCR) were computed by pyradiomics "
            f"{version} [pyradiomics]"
        )
        modality = s.provenance.get("modality")
        text += f", preset for {modality}" if modality else ""
        chosen = [
            f"{name} = {setting[name]}" for name in _SETTINGS if setting.get(name) is not None
        ]
        yield f"{text} ({', '.join(chosen)})." if chosen else f"{text}."
    elif s.cohort.n_hcr:
        yield f"{s.cohort.n_hcr} features of the lesions were given [computed how: authors]."
    if s.cohort.n_clinical:
        yield f"{count(s.cohort.n_clinical, 'clinical variable')} entered the models."
    if s.patients:
        yield f"Several lesions of a patient were combined by {s.patients}."


_SETTINGS = ("binWidth", "binCount", "resampledPixelSpacing", "normalize", "interpolator")


#: Parameters of the training, and how they are named.
_TRAINING = {
    "max_epochs": "epochs",
    "batch_size": "batch size",
    "lr": "learning rate",
    "beta": "weight of the KL term",
}


def _network(comparison: Any) -> Iterator[str]:
    """Describe the deep features."""
    s = comparison.settings
    if not s.cvae or not s.learned_blocks:
        return
    p = s.cvae
    shape = s.cohort.patch_shape
    voxels = f" of {' × '.join(map(str, shape[1:]))} voxels" if shape else ""
    if not {"dlr_size", "independence", *_TRAINING} <= set(p):
        # A transformer of the user's own has other parameters.
        chosen = ", ".join(f"{name} = {value}" for name, value in p.items())
        yield (
            f"Deep features (DLR) were learned from the lesion's patch{voxels} by a model with the "
            f"parameters {chosen} [which model: authors]."
        )
        return
    training = ", ".join(f"{name} {p[key]}" for key, name in _TRAINING.items())
    yield (
        f"{p['dlr_size']} deep features (DLR) per lesion were the latents of a conditional "
        f"variational autoencoder of the lesion's patch{voxels} ({training})."
    )
    if p.get("independence") and any("-MI" in name for name in s.feature_sets):
        reference = {"dcor": "distance correlation [szekely]"}.get(
            str(p["independence"]), str(p["independence"])
        )
        after = (
            "; what regressions still predicted of them was removed after training"
            if p.get("residualise")
            else ""
        )
        yield (
            "Sets named -MI hold latents that were kept independent of the known features [vetil] "
            f"by a penalty on {reference} (weight {p['kappa']}){after}."
        )


def _models(comparison: Any) -> Iterator[str]:
    """Describe feature sets, classifiers and validation."""
    s = comparison.settings
    yield (
        f"The feature sets {', '.join(s.feature_sets)} were compared by {', '.join(s.classifiers)} "
        f"with {validation_text(s)}; all that is learned was learned on training patients only."
    )
    if s.steps:
        yield f"Steps inside each fold: {', '.join(s.steps)}."
    primary = s.primary
    against = f" against {primary['reference']}" if "reference" in primary else ""
    yield (
        f"The primary comparison, chosen before any result was seen, was {primary['feature_set']}"
        f"{against} ({primary['classifier']}, {metric_name(primary['metric'])}); the plan "
        f"{s.registration['plan']} was recorded on {s.registration['made'][:10]}."
    )


def _tests(comparison: Any) -> Iterator[str]:
    """Describe the tests that gave the p-values."""
    tested = comparison.tests[comparison.tests["p_value"].notna()]
    if len(tested):
        how = [_TESTS.get(name, name) for name in dict.fromkeys(tested["method"])]
        yield (
            f"Paired differences were tested by {', '.join(how)}; p-values of other comparisons "
            "than the primary one were corrected by Holm's method."
        )
    methods = dict.fromkeys(comparison.added_information["method"])
    if methods:
        named = "; ".join(_INFORMATION.get(name, name) for name in methods)
        yield (
            "Whether added features tell something of the outcome beyond the known ones was tested "
            f"by {named}; it was claimed only where every test had p < 0.05."
        )
    if len(comparison.settings.classes) == 2 and len(comparison.calibration()):
        yield (
            "Calibration slope and intercept [vancalster] and net benefit [vickers] were computed "
            "from held-out predictions."
        )


def _audit(comparison: Any) -> Iterator[str]:
    """Describe the audit."""
    methods = [name for name in dict.fromkeys(comparison.redundancy["method"]) if name != SHARE]
    if methods:
        named = ", ".join(method_name(name) for name in methods)
        yield (
            "Dependence of deep on known features was measured on held-out patients by newly "
            f"trained estimators ({named}) against permuted rows."
        )


def _software(comparison: Any) -> Iterator[str]:
    """Name seed and versions."""
    s = comparison.settings
    versions = ", ".join(f"{name} {version}" for name, version in s.versions.items())
    yield f"The seed was {s.seed}. Software: {versions}."
