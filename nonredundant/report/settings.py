"""The cohort, the settings and the versions as tables: enough to run a comparison again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nonredundant.report.tables import Table, compact, pairs

#: What of the network is worth a row; the rest stands in the settings below the tables.
_NETWORK = ("dlr_size", "independence", "kappa", "beta", "gamma", "max_epochs", "batch_size", "lr")


def cohort_table(comparison: Any) -> Table:
    """Return what a reader must know of the cohort."""
    s, cohort = comparison.settings, comparison.settings["cohort"]
    rows: list[tuple[str, Any]] = [
        ("samples", f"{cohort['n_samples']:,}"),
        ("lesions", f"{cohort['n_lesions']:,}"),
        ("classes" if s["classes"] else "outcome", shares(cohort["class_counts"])),
    ]
    if s["n_test"]:
        rows.append(
            ("held-out test set", f"{s['n_test']:,} samples: {shares(held_out_counts(comparison))}")
        )
    units = {"volume": "mm³ if spacing is in mm", "maximum": "image units"}
    for name, (low, middle, high) in cohort["quartiles"].items():
        label = {"volume": "volume of a sample's lesions", "maximum": "maximum intensity"}[name]
        value = f"{compact(middle)} ({compact(low)} to {compact(high)}), {units[name]}"
        rows.append((f"{label}, median (quartiles)", value))
    rows += [
        ("hand-crafted features", f"{cohort['n_hcr']:,}"),
        ("clinical columns", f"{cohort['n_clinical']:,}"),
        ("patch", shape_text(cohort["patch_shape"])),
        ("cases left out, as they could not be extracted", f"{len(s['failed']):,}"),
    ]
    return pairs(rows)


def lesions_table(comparison: Any) -> Table:
    """Return how many lesions samples have, where some have several."""
    cohort = comparison.settings["cohort"]
    if cohort["n_lesions"] == cohort["n_samples"]:
        return pairs([])
    low, middle, high, most = cohort["lesions_a_sample"]
    return pairs(
        [
            ("lesions", f"{cohort['n_lesions']:,} of {cohort['n_samples']:,} samples"),
            (
                "lesions a sample, median (quartiles)",
                f"{middle:g} ({low:g} to {high:g}), at most {most:g}",
            ),
            ("how they make one prediction", comparison.settings["patients"]),
        ]
    )


def shares(counts: Mapping[str, int]) -> str:
    """Return class counts with their shares."""
    total = sum(counts.values())
    return ", ".join(f"{name}: {n:,} ({n / total:.0%})" for name, n in counts.items())


def held_out_counts(comparison: Any) -> dict[str, int]:
    """Return the class counts of the held-out test set."""
    own = comparison.predictions.drop_duplicates("sample")["y"].astype(str).value_counts()
    return {name: int(own.get(name, 0)) for name in comparison.settings["cohort"]["class_counts"]}


def shape_text(shape: Sequence[int] | None) -> str:
    """Return a patch's shape, channels apart."""
    if shape is None:
        return "none"
    channels = f", {shape[0]} channels" if shape[0] > 1 else ""
    return " × ".join(map(str, shape[1:])) + f" voxels{channels}"


def settings_table(settings: Mapping[str, Any]) -> Table:
    """Return what was run."""
    network = settings["cvae"] or {}
    parts = [f"{name} {seconds:.0f} s" for name, seconds in settings["seconds"].items()]
    rows = [
        ("feature sets", ", ".join(settings["feature_sets"])),
        ("classifiers", ", ".join(settings["classifiers"])),
        ("metrics", ", ".join(settings["scoring"])),
        ("validation", validation_text(settings)),
        ("experiment", settings["experiment"]),
        ("class weight", settings["class_weight"]),
        ("sampler", settings["sampler"]),
        ("network", ", ".join(f"{k} = {network[k]}" for k in _NETWORK if k in network)),
        ("extraction", settings["extractor"] or "none: lesions were handed over"),
        ("seed", settings["seed"]),
        ("versions", _versions(settings)),
        ("fits at once", settings["n_jobs"] or 1),
        ("time", f"{settings['total_seconds']:.0f} s in all: {', '.join(parts)}"),
        ("finished", settings["made"]),
    ]
    return pairs(rows)


def _versions(settings: Mapping[str, Any]) -> str:
    """Return the versions, and those of the extraction where they differ."""
    own = settings["versions"]
    extracted = (settings["provenance"] or {}).get("versions", {})
    text = ", ".join(f"{name} {version}" for name, version in own.items())
    others = [f"{k} {v}" for k, v in extracted.items() if own.get(k) != v]
    return text + (f"; at extraction {', '.join(others)}" if others else "")


def validation_text(settings: Mapping[str, Any]) -> str:
    """Return how the models were validated."""
    folds, repeats = settings["n_folds"], settings["n_repeats"]
    text = f"cross-validation, {folds // repeats} folds"
    if repeats > 1:
        text += f", {repeats} repeats"
    text += "; groups kept together" if settings["grouped"] else ""
    if settings["n_test"]:
        text += f"; mean of the fold models on {settings['n_test']:,} held-out samples"
    return text
