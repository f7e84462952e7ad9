"""Feature sets: their names, and the columns they consist of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.feature_selection import f_classif, f_regression

from nonredundant.folds.simple_sets import BASELINES, CHEAP, constant_columns
from nonredundant.lesions.table import LesionTable

DEFAULT_SETS = ("HCR", "DLR", "DLR-MI", "HCR+DLR", "HCR+DLR-MI")
#: The set of clinical columns alone, and the start of the names of all sets that contain them.
_CLINICAL = "Clinical"
#: Largest Spearman correlation of a selected column with those selected before it.
_MAX_CORRELATION = 0.9
_PATTERN = re.compile(
    r"^(?P<hcr>HCR|H\d+)?(?P<plus>\+)?"
    r"(?:(?P<dlr>DLR|D\d+)(?P<ending>-MI|-residual)?|(?P<pca>PCA\d*))?$"
)


@dataclass(frozen=True)
class Selection:
    """The hand-crafted columns of a set: whole feature classes, and the k best of the others.

    `classes=None` means all columns; `k` columns are selected in the fold by their rank F-test.
    """

    classes: tuple[str, ...] | None = None
    k: int = 0

    def columns(self, hcr: pd.DataFrame, y: np.ndarray) -> list[str]:
        """Select the columns on the training samples `hcr` and their targets `y`."""
        if self.classes is None:
            return list(hcr.columns)
        kept = [name for name in hcr.columns if _class_of(name) in self.classes]
        rest = hcr.drop(columns=kept)
        return kept + pick_columns(rest, y, self.k) if self.k else kept


@dataclass(frozen=True)
class Variant:
    """Features learned from the patches, once per fold, and shared by all sets that use them."""

    kind: Literal["vae", "pca", "residual"]
    term: bool = False
    size: int | None = None
    selection: Selection = Selection()
    name: str = "DLR"

    @property
    def source(self) -> Variant:
        """The variant to fit first: the plain network whose latents are residualised."""
        if self.kind != "residual":
            return self
        name = self.name.removesuffix("-residual")
        return Variant("vae", False, self.size, self.selection, name)


@dataclass(frozen=True)
class FeatureSet:
    """A named set of columns for classifiers."""

    name: str
    selection: Selection | None = None
    variant: Variant | None = None
    cheap: tuple[str, ...] = ()
    clinical: bool = False

    @property
    def is_fused(self) -> bool:
        """Whether learned features are combined with hand-crafted or clinical ones."""
        return self.variant is not None and (self.selection is not None or self.clinical)

    @property
    def is_hcr(self) -> bool:
        """Whether the set has hand-crafted features and, at most, clinical ones besides."""
        return self.selection is not None and self.variant is None

    @property
    def is_simple(self) -> bool:
        """Whether the set needs neither hand-crafted nor learned features."""
        return self.selection is None and self.variant is None

    @property
    def is_known(self) -> bool:
        """Whether the set has neither learned features nor columns of a cheap baseline."""
        return self.variant is None and not self.cheap


def parse_feature_set(name: str) -> FeatureSet:
    """Parse the name of a feature set such as `HCR`, `Clinical+D32-MI`, `H8+D16` or `volume`.

    A set with hand-crafted columns contains the clinical ones, too; see `name_clinical`.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name in CHEAP:
        return FeatureSet(name, cheap=CHEAP[name].columns)
    if name == _CLINICAL:
        return FeatureSet(name, clinical=True)
    if name.startswith(f"{_CLINICAL}+"):
        return replace(
            parse_feature_set(name.removeprefix(f"{_CLINICAL}+")), name=name, clinical=True
        )
    match = _PATTERN.match(name)
    parts = match.groupdict() if match else {}
    learned = parts.get("dlr") or parts.get("pca")
    if (
        not match
        or not (parts["hcr"] or learned)
        or bool(parts["plus"]) != bool(parts["hcr"] and learned)
    ):
        raise ValueError(
            f"unknown feature set {name!r}: write 'HCR' or 'H8' (hand-crafted), 'DLR' or 'D16' "
            "(deep; '-MI' with the independence term, '-residual' residualised on the "
            f"hand-crafted), 'PCA', two of them joined by '+', all of them after 'Clinical+', "
            f"'Clinical', or one of {tuple(CHEAP)}"
        )
    selection = None
    if parts["hcr"]:
        selection = Selection() if parts["hcr"] == "HCR" else Selection((), int(parts["hcr"][1:]))
    variant = None
    if learned:
        variant = _variant(learned, parts["ending"], selection or Selection())
    return FeatureSet(name, selection, variant, clinical=selection is not None)


def _variant(learned: str, ending: str | None, selection: Selection) -> Variant:
    """Parse the part of a name that stands for learned features."""
    digits = re.sub(r"\D", "", learned)
    size = int(digits) if digits else None
    if learned.startswith("PCA"):
        return Variant("pca", size=size, name=learned)
    kind: Literal["vae", "residual"] = "residual" if ending == "-residual" else "vae"
    return Variant(kind, ending == "-MI", size, selection, learned + (ending or ""))


def resolve_feature_sets(sets: Sequence[str | FeatureSet], *, baselines: bool) -> list[FeatureSet]:
    """Return the sets in order, followed by the baselines, without duplicates.

    Raises
    ------
    ValueError
        If there is no set or a name is unknown.
    """
    wanted = [sets] if isinstance(sets, str) else [*sets]
    if not wanted:
        raise ValueError("feature_sets is empty: name at least one, for instance 'HCR'")
    resolved = [s if isinstance(s, FeatureSet) else parse_feature_set(s) for s in wanted]
    if baselines:
        resolved += [parse_feature_set(name) for name in BASELINES]
    return list({one.name: one for one in resolved}.values())


def choose_feature_sets(
    sets: Sequence[str | FeatureSet], table: LesionTable, *, clinical: bool, baselines: bool
) -> tuple[list[FeatureSet], list[str]]:
    """Return the feature sets to compare and messages about baselines that are left out.

    Parameters
    ----------
    sets : sequence of str or FeatureSet
        The sets that were asked for.
    table : LesionTable
        The lesions.
    clinical : bool
        Whether there are clinical columns.
    baselines : bool
        Whether to add the baselines that can be computed from the table.

    Returns
    -------
    sets : list of FeatureSet
        The sets that were asked for, then the baselines.
    messages : list of str
        One per column of baselines that is unknown or constant.

    Raises
    ------
    ValueError
        If a set that was asked for cannot be computed from the table.
    """
    chosen = resolve_feature_sets(sets, baselines=False)
    for one in chosen:
        check_feature_set(one, table, clinical=clinical)
    added, messages = _baselines(table, clinical=clinical) if baselines else ([], [])
    if not any(one.variant is not None for one in chosen):
        # Learned features are compared with others of their kind; networks take minutes to train.
        added = [one for one in added if one.variant is None]
    return name_clinical(chosen, added, clinical=clinical), messages


def _baselines(table: LesionTable, *, clinical: bool) -> tuple[list[FeatureSet], list[str]]:
    """Return the baselines that can be computed, and messages about those that vary in nothing."""
    constant = constant_columns(table)
    added = [
        one
        for one in map(parse_feature_set, BASELINES)
        if not _lacks(one, table, clinical=clinical) and not set(constant) & set(one.cheap)
        if one.name not in CHEAP or not (CHEAP[one.name].several_lesions and table.is_single)
    ]
    if clinical:
        added.append(parse_feature_set(_CLINICAL))
    return added, [f"The baseline {c!r} is left out: it is unknown or constant" for c in constant]


def check_feature_set(one: FeatureSet, table: LesionTable, *, clinical: bool) -> None:
    """Raise a ValueError if a feature set cannot be computed from the table."""
    needs = _lacks(one, table, clinical=clinical)
    if needs:
        raise ValueError(f"feature set {one.name!r} needs {needs}")


def _lacks(one: FeatureSet, table: LesionTable, *, clinical: bool) -> str:
    """Describe what a feature set needs and the table does not have; empty if nothing."""
    if one.selection is not None and not table.columns_of("hcr"):
        return "hand-crafted features, and the table has none"
    if one.variant is not None and table.patches is None:
        return "patches, and the table has none: extract it with a patch_shape"
    if one.name in CHEAP and not CHEAP[one.name].is_measurable(table):
        return CHEAP[one.name].needs
    if one.name.startswith(_CLINICAL) and not clinical:
        return "clinical columns: name them in the extractor's `clinical`"
    return ""


def name_clinical(
    chosen: Sequence[FeatureSet], added: Sequence[FeatureSet], *, clinical: bool
) -> list[FeatureSet]:
    """Return all sets, each of which is named for the clinical columns if it contains them.

    Parameters
    ----------
    chosen : sequence of FeatureSet
        The sets that were asked for. If one of them is named `Clinical…`, those that are not
        contain no clinical columns. Otherwise all sets with hand-crafted columns contain them,
        and `HCR` becomes `Clinical+HCR`.
    added : sequence of FeatureSet
        The baselines.
    clinical : bool
        Whether there are clinical columns.

    Returns
    -------
    list of FeatureSet
        The sets, each once.
    """
    apart = any(one.name.startswith(_CLINICAL) for one in chosen)
    named = []
    for one in resolve_feature_sets([*chosen, *added], baselines=False):
        if one.clinical and not one.name.startswith(_CLINICAL):
            joined = clinical and not apart
            name = f"{_CLINICAL}+{one.name}" if joined else one.name
            one = replace(one, name=name, clinical=joined)
        named.append(one)
    return named


def references(sets: Sequence[FeatureSet], one: FeatureSet) -> list[str]:
    """Return the sets that a set is tested against: without learned features, without the term."""
    known = [s for s in sets if s.is_known]
    hcr = [s for s in known if s.is_hcr]
    if one.is_known and one.name.startswith(_CLINICAL):
        same = [s for s in known if s.name == _CLINICAL]
    elif one.selection is not None or one.is_fused:
        alike = [s for s in known if s.selection == one.selection]
        same = [s for s in alike if s.clinical == one.clinical] or alike
    else:
        same = []
    found = [s.name for s in (same or hcr)[:1]]
    twins = [
        s.name
        for s in sets
        if s.is_fused and one.is_fused and s.variant and one.variant
        if s.variant.kind == "vae" and not s.variant.term
        if (s.selection, s.clinical) == (one.selection, one.clinical)
        if one.variant.kind != "vae" or one.variant.size == s.variant.size
    ]
    return [name for name in dict.fromkeys([*found, *twins[:1]]) if name != one.name]


def pick_columns(frame: pd.DataFrame, y: np.ndarray, k: int) -> list[str]:
    """Select the k columns with the highest rank F statistic that are no near copies.

    `y` contains classes, or numbers such as martingale residuals.
    """
    values = frame.fillna(frame.median()).fillna(0.0).to_numpy(dtype=float)
    varies = values.max(axis=0, initial=-np.inf) > values.min(axis=0, initial=np.inf)
    columns = np.flatnonzero(varies)
    ranks = rankdata(values[:, columns], axis=0)
    strength = (f_regression if y.dtype.kind == "f" else f_classif)(ranks, y)[0]
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0, posinf=np.inf), kind="stable")
    correlation = np.abs(np.atleast_2d(np.corrcoef(ranks, rowvar=False)))
    picked: list[int] = []
    for position in order:
        if len(picked) < k and (correlation[position, picked] <= _MAX_CORRELATION).all():
            picked.append(position)
    picked += [p for p in order if p not in picked][: k - len(picked)]
    return [str(frame.columns[columns[p]]) for p in picked]


def _class_of(name: str) -> str:
    """Return the pyradiomics class of a column: `original_shape_Sphericity` → `shape`."""
    parts = str(name).rpartition("__")[2].split("_")
    return parts[1].removesuffix("2D") if len(parts) > 2 and parts[0] == "original" else ""
