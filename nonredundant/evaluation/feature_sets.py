"""What a feature set is made of: hand-crafted columns, a learned block, or a cheap baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.feature_selection import f_classif, f_regression

from nonredundant.lesions.dissemination import COLUMNS as DISSEMINATION
from nonredundant.lesions.dissemination import dissemination_features, has_dissemination
from nonredundant.lesions.measures import size_and_uptake
from nonredundant.lesions.table import LesionTable

DEFAULT_SETS = ("HCR", "DLR", "DLR-MI", "HCR+DLR", "HCR+DLR-MI")
#: What a reviewer asks for before believing in a network.
BASELINES = (
    "volume",
    "max intensity",
    "volume + max intensity",
    "dissemination",
    "HCR+PCA",
    "HCR+DLR-residual",
)
_CHEAP = {
    "volume": ("volume",),
    "max intensity": ("maximum",),
    "volume + max intensity": ("volume", "maximum"),
    "dissemination": DISSEMINATION,
    "clinical": (),
}
_CLINICAL = "Clinical"
#: A picked column may not be a near copy (Spearman) of one that was picked before it.
_MAX_CORRELATION = 0.9
_PATTERN = re.compile(
    r"^(?P<hcr>HCR|H\d+)?(?P<plus>\+)?"
    r"(?:(?P<dlr>DLR|D\d+)(?P<ending>-MI|-residual)?|(?P<pca>PCA\d*))?$"
)


@dataclass(frozen=True)
class Selection:
    """Which hand-crafted columns a set uses: whole classes, and the k best of the others.

    `classes=None` means all columns; `k` columns are picked inside the fold by their rank F-test.
    """

    classes: tuple[str, ...] | None = None
    k: int = 0

    def columns(self, hcr: pd.DataFrame, y: np.ndarray) -> list[str]:
        """Return the columns, picked on training rows only."""
        if self.classes is None:
            return list(hcr.columns)
        kept = [name for name in hcr.columns if _class_of(name) in self.classes]
        rest = hcr.drop(columns=kept)
        return kept + pick_columns(rest, y, self.k) if self.k else kept


@dataclass(frozen=True)
class Variant:
    """One thing that is learned from the patches, once a fold, for every set that uses it."""

    kind: Literal["vae", "pca", "residual"]
    term: bool = False
    size: int | None = None
    selection: Selection = Selection()
    name: str = "DLR"

    @property
    def source(self) -> Variant:
        """What must be fitted first: the plain network whose latents are residualised."""
        if self.kind != "residual":
            return self
        name = self.name.removesuffix("-residual")
        return Variant("vae", False, self.size, self.selection, name)


@dataclass(frozen=True)
class FeatureSet:
    """A named set of columns that classifiers are trained on."""

    name: str
    selection: Selection | None = None
    variant: Variant | None = None
    cheap: tuple[str, ...] = ()
    clinical: bool = False

    @property
    def is_fused(self) -> bool:
        """Whether learned features stand beside what is known without them."""
        return self.variant is not None and (self.selection is not None or self.clinical)

    @property
    def is_hcr(self) -> bool:
        """Whether the set holds hand-crafted features, clinical ones or not, and no others."""
        return self.selection is not None and self.variant is None

    @property
    def is_known(self) -> bool:
        """Whether nothing in the set is learned from the patches, nor a cheap baseline."""
        return self.variant is None and not self.cheap


def parse_feature_set(name: str) -> FeatureSet:
    """Return the feature set of a name such as `HCR`, `Clinical+D32-MI`, `H8+D16` or `volume`.

    Raises
    ------
    ValueError
        If the name follows no known pattern.
    """
    if name in _CHEAP:
        return FeatureSet(name, cheap=_CHEAP[name], clinical=name == "clinical")
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
            f"'Clinical', or one of {tuple(_CHEAP)}"
        )
    selection = None
    if parts["hcr"]:
        selection = Selection() if parts["hcr"] == "HCR" else Selection((), int(parts["hcr"][1:]))
    variant = None
    if learned:
        variant = _variant(learned, parts["ending"], selection or Selection())
    return FeatureSet(name, selection, variant, clinical=selection is not None)


def _variant(learned: str, ending: str | None, selection: Selection) -> Variant:
    """Return what is learned for the part of the name that stands for it."""
    digits = re.sub(r"\D", "", learned)
    size = int(digits) if digits else None
    if learned.startswith("PCA"):
        return Variant("pca", size=size, name=learned)
    kind: Literal["vae", "residual"] = "residual" if ending == "-residual" else "vae"
    return Variant(kind, ending == "-MI", size, selection, learned + (ending or ""))


def resolve_feature_sets(sets: Sequence[str | FeatureSet], *, baselines: bool) -> list[FeatureSet]:
    """Return the sets in order, the baselines after them, each once.

    Raises
    ------
    ValueError
        If there is none or a name is unknown.
    """
    wanted = [sets] if isinstance(sets, str) else [*sets]
    if not wanted:
        raise ValueError("feature_sets is empty: name at least one, for instance 'HCR'")
    resolved = [s if isinstance(s, FeatureSet) else parse_feature_set(s) for s in wanted]
    if baselines:
        resolved += [parse_feature_set(name) for name in BASELINES]
    return list({one.name: one for one in resolved}.values())


def set_clinical_apart(sets: Sequence[FeatureSet]) -> list[FeatureSet]:
    """Return the sets; if any is named `Clinical…`, only those so named hold clinical columns."""
    if not any(one.name.startswith(_CLINICAL) for one in sets):
        return list(sets)
    return [
        one if one.name.startswith(_CLINICAL) else replace(one, clinical=False)
        for one in sets
        if one.name != _CLINICAL.lower()
    ]


def references(sets: Sequence[FeatureSet], one: FeatureSet) -> list[str]:
    """Return what a set is tested against: what is known alone, and fused without the term."""
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
    """Return the k columns of the highest rank F statistic that do not copy each other.

    `y` holds classes, or numbers, such as martingale residuals.
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


def cheap_columns(table: LesionTable) -> pd.DataFrame:
    """Return what the simple baselines are made of; the spread of lesions where it is known."""
    cheap = size_and_uptake(table)
    if has_dissemination(table):
        cheap = pd.concat([cheap, dissemination_features(table)], axis=1)
    return cheap


def _class_of(name: str) -> str:
    """Return the pyradiomics class of a column: `original_shape_Sphericity` → `shape`."""
    parts = str(name).rpartition("__")[2].split("_")
    return parts[1].removesuffix("2D") if len(parts) > 2 and parts[0] == "original" else ""
