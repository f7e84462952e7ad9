"""Text for the methods part of a paper, from what was run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nonredundant.displays.names import method_name, metric_name
from nonredundant.lesions.images import settings_by_image
from nonredundant.metrics.audit import SHARE
from nonredundant.report.descriptions import class_shares, validation_text
from nonredundant.report.formatting import count
from nonredundant.report.references import REFERENCES, citation_text

#: A reference in a text, replaced by its number.
_CITED = re.compile(r"\[(\w+)\]")
#: Tests of paired differences by the name of their method, with their references.
_TESTS = {
    "influence curve": "the influence of each patient on the cross-validated score [ledell]",
    "t over centres": "Student's t-test over centres, each left out once",
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
    parts = (_cohort, _features, _embeddings, _network, _models, _tests, _audit, _software)
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
    if s.cohort.n_hcr and s.extractor:
        version = s.provenance.get("versions", {}).get("pyradiomics", "")
        by_image = settings_by_image(s.provenance)
        images = f" of {len(by_image)} images per patient" if len(by_image) > 1 else ""
        measured = "; ".join(filter(None, (_image(*item) for item in by_image.items())))
        yield (
            f"{s.cohort.n_hcr} hand-crafted radiomic features (HCR){images} were computed by "
            f"pyradiomics {version} [pyradiomics]{f' ({measured})' if measured else ''}."
        )
        for image, n_lost in s.cohort.missing_images.items():
            if n_lost:
                yield f"{count(n_lost, 'patient')} had no {image} image."
    elif s.cohort.n_hcr:
        yield f"{s.cohort.n_hcr} features of the lesions were given [computed how: authors]."
    if s.cohort.n_clinical:
        yield f"{count(s.cohort.n_clinical, 'clinical variable')} entered the models."
    if s.patients:
        yield f"Several lesions of a patient were combined by {s.patients}."


_SETTINGS = ("binWidth", "binCount", "resampledPixelSpacing", "normalize", "interpolator")


def _image(name: str, provenance: Mapping[str, Any]) -> str:
    """Describe the preset and settings of one image, after its name if it has one."""
    setting = provenance.get("parameters", {}).get("setting", {})
    modality = provenance.get("modality")
    parts = [f"preset for {modality}"] if modality else []
    parts += [f"{key} = {setting[key]}" for key in _SETTINGS if setting.get(key) is not None]
    return f"{name}: {', '.join(parts)}" if name and parts else ", ".join(parts)


def _embeddings(comparison: Any) -> Iterator[str]:
    """Describe the given embeddings that were compared."""
    s, used = comparison.settings, comparison.embeddings
    if used.empty:
        return
    how = "which networks, and what they were trained on and applied to"
    by = " by frozen networks" if "FrozenEncoder" in (s.extractor or "") else ""
    named = ", ".join(
        f"{row['embedding']} ({row['n_columns']:,.0f} columns, of which the first "
        f"{row['n_components']:.0f} principal components were used)"
        for _, row in used.iterrows()
    )
    yield f"Embeddings of the lesions were computed{by} [{how}: authors]: {named}."
    if used["share_explained"].notna().any():
        yield (
            "Sets with an embedding named -MI hold what cross-fitted regressions on the known "
            "features did not predict of these components, in mean and spread."
        )


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
    if any(" & " in name for name in s.feature_sets):
        yield (
            "Sets whose parts are joined by & were fused late: a classifier per part, whose "
            "log-odds or risks were weighed by a regression with weights that are not negative, "
            "fitted to patients that inner cross-validation left out."
        )
    if s.steps:
        named = ", then ".join(_step(text) for text in s.steps)
        yield f"In each fold, the training patients were first used to learn {named}."
    primary = s.primary
    against = f" against {primary['reference']}" if "reference" in primary else ""
    yield (
        f"The primary comparison, chosen before any result was seen, was {primary['feature_set']}"
        f"{against} ({primary['classifier']}, {metric_name(primary['metric'])}); the plan "
        f"{s.registration['plan']} was recorded on {s.registration['made'][:10]}."
    )


def _step(text: str) -> str:
    """Name a step by its class and the parameters that were set."""
    name, _, parameters = " ".join(text.split()).partition("(")
    return f"{name} ({parameters[:-1]})" if parameters.strip(")") else name


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
    # Where no fold holds out enough samples, the table says so and nothing was measured.
    measured = comparison.redundancy.dropna(subset="estimate")
    methods = [name for name in dict.fromkeys(measured["method"]) if name != SHARE]
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
