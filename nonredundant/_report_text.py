"""What the report says of the method, and the reporting checklists' items that it can answer."""

from __future__ import annotations

from typing import Any, NamedTuple

#: The method in a few lines; each with its source.
METHOD = (
    (
        "Hand-crafted radiomics (HCR) are pyradiomics' features of each lesion.",
        "van Griethuysen et al. 2017, doi 10.1158/0008-5472.CAN-17-0339",
    ),
    (
        "Deep radiomics (DLR) are posterior means of a conditional variational autoencoder; in the "
        "sets marked -MI an independence term keeps them from repeating the HCR.",
        "Vétil et al. 2023, arXiv 2308.11389; Székely & Rizzo 2014, doi 10.1214/14-AOS1255",
    ),
    (
        "All that learns (networks, imputation, scaling, tuning, thresholds) was fitted on the "
        "training samples of each fold; every set saw the same folds.",
        "Kapoor & Narayanan 2023, doi 10.1016/j.patter.2023.100804",
    ),
    (
        "Over folds, intervals and paired tests are corrected for shared training samples; on a "
        "test set and on pooled predictions AUCs are compared by DeLong's method; p-values are "
        "corrected over their family by Holm's.",
        "Nadeau & Bengio 2003, doi 10.1023/A:1024068626366; DeLong et al. 1988, "
        "doi 10.2307/2531595; Sun & Xu 2014, doi 10.1109/LSP.2014.2337313",
    ),
    (
        "Redundancy is what fresh estimators, on held-out samples, still find shared between HCR "
        "and DLR, against its value with rows permuted.",
        "Székely & Rizzo 2014; Phipson & Smyth 2010, doi 10.2202/1544-6115.1585",
    ),
)


class Item(NamedTuple):
    """One item of a checklist: what it asks, whether it is met, and by what."""

    source: str
    question: str
    done: bool
    value: str


def checklist(comparison: Any) -> list[Item]:
    """Return the items of CLEAR and TRIPOD+AI that the run itself can answer.

    CLEAR: Kocak et al. 2023, doi 10.1186/s13244-023-01415-8. TRIPOD+AI: Collins et al. 2024,
    doi 10.1136/bmj-2023-078378. What lies outside of the run, such as the choice of patients, is
    for the authors to say.
    """
    s = comparison.settings
    cohort, tests = s["cohort"], comparison.tests
    counts = ", ".join(f"{label}: {n}" for label, n in cohort["class_counts"].items())
    extracted = bool(s.get("provenance"))
    versions = ", ".join(f"{name} {value}" for name, value in s["versions"].items())
    n_folds, n_repeats = s["n_folds"], s["n_repeats"]
    design = f"{n_folds} folds in {n_repeats} repeat{'s' if n_repeats > 1 else ''}"
    calibrated = len(s["classes"]) == 2
    handled = s["class_weight"] or s["sampler"]
    cheap = [name for name in s["feature_sets"] if name in ("volume", "maximum", "volume+maximum")]
    audited = sorted(set(comparison.redundancy["method"])) if len(comparison.redundancy) else []
    corrected = len(tests) > 0 and bool(tests["p_holm"].notna().any())
    intervals = bool(comparison.summary["low"].notna().all())
    return [
        Item("both", "Sample size and outcome counts", True, f"{cohort['n_samples']}; {counts}"),
        Item(
            "both",
            "Cases left out, with reasons",
            True,
            f"{len(s['failed'])} could not be extracted",
        ),
        Item(
            "CLEAR",
            "Settings of image processing and extraction",
            extracted,
            s["extractor"] if extracted else "features were handed over as a table",
        ),
        Item("CLEAR", "Software with versions", True, versions),
        Item("CLEAR", "Number of features", True, f"{cohort['n_hcr']} hand-crafted"),
        Item("both", "Data split and resampling", True, design),
        Item(
            "both",
            "Samples of one group (patient, site) kept together",
            s["grouped"],
            "split by group" if s["grouped"] else "no groups were given: each sample its own",
        ),
        Item(
            "both",
            "Held-out test set",
            s["n_test"] > 0,
            f"{s['n_test']} samples" if s["n_test"] else "none: internal validation only",
        ),
        Item(
            "CLEAR",
            "Class imbalance handled",
            handled is not None,
            str(handled) if handled else "neither weights nor resampling",
        ),
        Item(
            "CLEAR",
            "Compared with simple baselines (volume, maximum)",
            bool(cheap),
            ", ".join(cheap) or "none",
        ),
        Item(
            "both",
            "Performance with uncertainty",
            intervals,
            "95 % intervals" if intervals else "an interval is missing: too few folds",
        ),
        Item(
            "CLEAR",
            "Comparison by statistical tests, corrected for their number",
            corrected,
            f"{len(tests)} paired tests, Holm" if corrected else "none",
        ),
        Item(
            "TRIPOD+AI",
            "Calibration and clinical utility",
            calibrated,
            "slope, intercept, Brier score, net benefit" if calibrated else "two classes only",
        ),
        Item(
            "CLEAR",
            "Redundancy of features examined",
            bool(audited),
            ", ".join(audited) or "not audited",
        ),
        Item("both", "Seed for reproduction", True, str(s["seed"])),
    ]
