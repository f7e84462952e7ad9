"""Feature sets: their names, and the columns they consist of."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nonredundant.folds.selection import Selection
from nonredundant.folds.simple_sets import BASELINES, SIMPLE, constant_columns
from nonredundant.lesions.images import image_of
from nonredundant.lesions.table import LesionTable

DEFAULT_SETS = ("HCR", "DLR", "DLR-MI", "HCR+DLR", "HCR+DLR-MI")
#: The set of clinical columns alone, and the start of the names of all sets that contain them.
_CLINICAL = "Clinical"
#: The end of the name of learned features that are made independent of the known ones.
_INDEPENDENT = "-MI"
#: Stands between the blocks of a late fusion.
_LATE = " & "
_PATTERN = re.compile(
    r"^(?:(?P<image>[A-Za-z]\w*):(?=H))?(?P<hcr>HCR|H\d+)?(?P<plus>\+)?"
    r"(?:(?P<dlr>DLR|D\d+)(?P<ending>-MI|-residual)?|(?P<pca>PCA\d*))?$"
)


@dataclass(frozen=True)
class Variant:
    """Features learned once per fold, and shared by all sets that use them.

    They are learned from the patches, or are the components of a given embedding, whose name is
    then `embedding`.
    """

    kind: Literal["vae", "pca", "residual", "embedding"]
    term: bool = False
    size: int | None = None
    selection: Selection = Selection()
    name: str = "DLR"
    embedding: str = ""

    @property
    def source(self) -> Variant:
        """The variant to fit first: what gives the latents that are residualised."""
        if self.kind != "residual":
            return self
        if self.embedding:
            return Variant("embedding", name=self.embedding, embedding=self.embedding)
        name = self.name.removesuffix("-residual")
        return Variant("vae", False, self.size, self.selection, name)


@dataclass(frozen=True)
class FeatureSet:
    """A named set of columns for classifiers.

    In a late fusion, `parts` are the kinds of columns of each model, among "hcr", "clinical" and
    "learned"; without it, which is early fusion, one model sees all columns.
    """

    name: str
    selection: Selection | None = None
    variant: Variant | None = None
    simple: tuple[str, ...] = ()
    clinical: bool = False
    parts: tuple[tuple[str, ...], ...] = ()

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
    def is_clinical_alone(self) -> bool:
        """Whether the set consists of the clinical columns."""
        return self.is_simple and self.clinical and not self.simple

    @property
    def is_known(self) -> bool:
        """Whether the set has neither learned features nor columns of a simple baseline."""
        return self.variant is None and not self.simple


def default_sets(embeddings: Sequence[str]) -> tuple[str, ...]:
    """Return the sets to compare where none are named: of networks, or of given embeddings.

    Examples
    --------
    >>> default_sets(["FMCIB"])
    ('HCR', 'FMCIB', 'FMCIB-MI', 'HCR+FMCIB', 'HCR+FMCIB-MI')
    """
    if not embeddings:
        return DEFAULT_SETS
    blocks = [end.format(name) for name in embeddings for end in ("{}", "{}" + _INDEPENDENT)]
    return ("HCR", *blocks, *(f"HCR+{block}" for block in blocks))


def parse_feature_set(name: str, embeddings: Collection[str] = ()) -> FeatureSet:
    """Parse the name of a feature set such as `HCR`, `Clinical+D32-MI`, `H8+D16` or `volume`.

    `pet:HCR` are the hand-crafted columns of one of several images, with those of no image.
    A set with hand-crafted columns contains the clinical ones, too; see `name_clinical`.
    `HCR & DLR` is the late fusion of both: a model each, whose scores are weighed.

    Parameters
    ----------
    name : str
        The name.
    embeddings : collection of str
        Names of given embeddings, each of which is a set.

    Returns
    -------
    FeatureSet
        The set.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if "&" in name:
        return _late_fusion(name, embeddings)
    if name in SIMPLE:
        return FeatureSet(name, simple=SIMPLE[name].columns)
    if name == _CLINICAL:
        return FeatureSet(name, clinical=True)
    if name.startswith(f"{_CLINICAL}+"):
        rest = parse_feature_set(name.removeprefix(f"{_CLINICAL}+"), embeddings)
        return replace(rest, name=name, clinical=True)
    given = _given_set(name, embeddings)
    if given is not None:
        return given
    match = _PATTERN.match(name)
    parts = match.groupdict() if match else {}
    learned = parts.get("dlr") or parts.get("pca")
    if not _is_set(parts, learned):
        raise ValueError(
            f"unknown feature set {name!r}: write 'HCR' or 'H8' (hand-crafted; 'pet:HCR' those of "
            "the image 'pet' of several), 'DLR' or 'D16' "
            "(deep; '-MI' with the independence term, '-residual' residualised on the "
            "hand-crafted), 'PCA', two of them joined by '+', or by ' & ' for a model each, all of "
            f"them after 'Clinical+', 'Clinical', or one of {tuple(SIMPLE)}; given embeddings, "
            f"with or without '-MI' as 'DLR': {', '.join(embeddings) or 'none'}"
        )
    selection = None
    if parts["hcr"]:
        selection = Selection() if parts["hcr"] == "HCR" else Selection((), int(parts["hcr"][1:]))
        selection = replace(selection, image=parts["image"])
    variant = None
    if learned:
        variant = _variant(learned, parts["ending"])
    return FeatureSet(name, selection, variant, clinical=selection is not None)


def _late_fusion(name: str, embeddings: Collection[str]) -> FeatureSet:
    """Parse the name of a late fusion, whose blocks are joined by `&`, into clinical ones first."""
    blocks = [parse_feature_set(one.strip(), embeddings) for one in name.split("&")]
    blocks.sort(key=lambda one: (one.variant is not None, one.selection is not None))
    apart = any(one.is_clinical_alone for one in blocks)
    kinds = [_kinds(one, apart=apart) for one in blocks]
    every = [kind for own in kinds for kind in own]
    if len(blocks) < 2 or len(every) != len(set(every)) or not all(kinds):
        raise ValueError(
            f"unknown feature set {name!r}: a late fusion has one model each for two or three "
            "different blocks among 'Clinical', hand-crafted ('HCR', 'H8', 'Clinical+HCR') and "
            "learned columns ('DLR', 'D16-MI', 'PCA', a given embedding), such as 'HCR & DLR'; "
            "join others by '+'"
        )
    return FeatureSet(
        _LATE.join(one.name for one in blocks),
        next((one.selection for one in blocks if one.selection is not None), None),
        next((one.variant for one in blocks if one.variant is not None), None),
        clinical="clinical" in every,
        parts=tuple(kinds),
    )


def _kinds(block: FeatureSet, *, apart: bool) -> tuple[str, ...]:
    """Return the kinds of columns of a block of a late fusion; none if it cannot be one.

    `apart`: whether the clinical columns are a block of their own.
    """
    if block.simple or block.is_fused or block.parts:
        return ()
    if block.variant is not None:
        return ("learned",)
    if block.is_clinical_alone:
        return ("clinical",)
    both = not apart or block.name.startswith(_CLINICAL)
    return ("hcr", "clinical") if both else ("hcr",)


def blocks_of(name: str) -> list[str]:
    """Return the names of the blocks of a late fusion, in the order of its parts.

    Examples
    --------
    >>> blocks_of("HCR & DLR-MI")
    ['HCR', 'DLR-MI']
    """
    return name.split(_LATE)


def early_fusion(feature_set: FeatureSet) -> FeatureSet:
    """Return the set of the same columns whose classifier sees them side by side.

    Examples
    --------
    >>> early_fusion(parse_feature_set("Clinical & HCR & DLR")).name
    'Clinical+HCR+DLR'
    """
    name = feature_set.name.replace(_LATE, "+")
    return replace(feature_set, name=name, parts=())


def _is_set(parts: dict[str, Any], learned: str | None) -> bool:
    """Check whether the parts of a name are hand-crafted features, learned ones, or both joined."""
    both = bool(parts.get("hcr") and learned)
    return bool(parts.get("hcr") or learned) and bool(parts.get("plus")) == both


def _given_set(name: str, embeddings: Collection[str]) -> FeatureSet | None:
    """Return the set of a given embedding, alone or beside hand-crafted features, or None."""
    known, _, last = name.rpartition("+")
    if last.removesuffix(_INDEPENDENT) not in embeddings:
        return None
    if not known:
        return FeatureSet(name, variant=_given(last))
    if re.fullmatch(r"HCR|H\d+", known):
        return replace(parse_feature_set(known), name=name, variant=_given(last))
    return None


def _given(name: str) -> Variant:
    """Return the components of an embedding, as they are or independent of the known columns."""
    embedding = name.removesuffix(_INDEPENDENT)
    if name == embedding:
        return Variant("embedding", name=name, embedding=name)
    return Variant("residual", True, name=name, embedding=embedding)


def _variant(learned: str, ending: str | None) -> Variant:
    """Parse the part of a name that stands for learned features.

    Whatever a set selects for its classifiers, its network is kept from repeating all of h.
    """
    digits = re.sub(r"\D", "", learned)
    size = int(digits) if digits else None
    if learned.startswith("PCA"):
        return Variant("pca", size=size, name=learned)
    kind: Literal["vae", "residual"] = "residual" if ending == "-residual" else "vae"
    return Variant(kind, ending == "-MI", size, name=learned + (ending or ""))


def resolve_feature_sets(
    sets: Sequence[str | FeatureSet], *, baselines: bool, embeddings: Collection[str] = ()
) -> list[FeatureSet]:
    """Return the sets in order, followed by the baselines, without duplicates.

    Raises
    ------
    ValueError
        If there is no set or a name is unknown.
    """
    wanted = [sets] if isinstance(sets, str) else [*sets]
    if not wanted:
        raise ValueError("feature_sets is empty: name at least one, for instance 'HCR'")
    resolved = [
        s if isinstance(s, FeatureSet) else parse_feature_set(s, embeddings) for s in wanted
    ]
    if baselines:
        resolved += [parse_feature_set(name) for name in BASELINES]
    return list({s.name: s for s in resolved}.values())


def choose_feature_sets(
    sets: Sequence[str | FeatureSet], table: LesionTable, *, baselines: bool
) -> tuple[list[FeatureSet], list[str]]:
    """Return the feature sets to compare and messages about baselines that are left out.

    Parameters
    ----------
    sets : sequence of str or FeatureSet
        The sets that were asked for.
    table : LesionTable
        The lesions after the steps of a fold.
    baselines : bool
        Whether to add the baselines that can be computed from the table, and the set of the known
        columns of each fused set.

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
    chosen = resolve_feature_sets(sets, baselines=False, embeddings=table.embedding_names)
    clinical = bool(table.columns_of("clinical"))
    for feature_set in chosen:
        check_feature_set(feature_set, table)
    added, messages = _baselines(table) if baselines else ([], [])
    if not any(s.variant is not None and not s.variant.embedding for s in chosen):
        # Learned features are compared with others of their kind; networks take minutes to train.
        added = [s for s in added if s.variant is None]
    named = name_clinical(chosen, added, clinical=clinical)
    if baselines:
        named += [early_fusion(s) for s in named if s.parts]
        named += [known_part(s) for s in named if s.is_fused]
    return resolve_feature_sets(named, baselines=False), messages


def _baselines(table: LesionTable) -> tuple[list[FeatureSet], list[str]]:
    """Return the baselines that can be computed, and messages about those that vary in nothing."""
    constant = constant_columns(table)
    added = [
        baseline
        for baseline in map(parse_feature_set, BASELINES)
        if not _lacks(baseline, table) and not set(constant) & set(baseline.simple)
        if not (table.is_single and _is_for_several_lesions(baseline))
    ]
    if table.columns_of("clinical"):
        added.append(parse_feature_set(_CLINICAL))
    return added, [f"The baseline {c!r} is left out: it is unknown or constant" for c in constant]


def _is_for_several_lesions(baseline: FeatureSet) -> bool:
    """Return whether a baseline describes the several lesions of a sample."""
    return baseline.name in SIMPLE and SIMPLE[baseline.name].several_lesions


def known_part(feature_set: FeatureSet) -> FeatureSet:
    """Return the set of the known columns of a fused set, with which it is compared.

    Sets of a published protocol have names of their own, and are compared with each other.
    """
    feature_set = early_fusion(feature_set)
    name, _, learned = feature_set.name.rpartition("+")
    if not name or feature_set.variant is None or learned != feature_set.variant.name:
        return feature_set
    return FeatureSet(name, feature_set.selection, clinical=feature_set.clinical)


def check_feature_set(feature_set: FeatureSet, table: LesionTable) -> None:
    """Raise a ValueError if a feature set cannot be computed from the table."""
    needs = _lacks(feature_set, table)
    if needs:
        raise ValueError(f"feature set {feature_set.name!r} needs {needs}")


def _lacks(feature_set: FeatureSet, table: LesionTable) -> str:
    """Describe what a feature set needs and the table does not have; empty if nothing."""
    name = feature_set.name
    gap = _lacks_features(feature_set.selection, table) or _lacks_learned(feature_set, table)
    if gap:
        return gap
    if name in SIMPLE and not SIMPLE[name].is_measurable(table):
        return SIMPLE[name].needs
    if name.startswith(_CLINICAL) and not table.columns_of("clinical"):
        return "clinical columns: name them in the extractor's `clinical`"
    return ""


def _lacks_features(selection: Selection | None, table: LesionTable) -> str:
    """Describe which hand-crafted features a selection needs and the table does not have."""
    if selection is None:
        return ""
    columns = table.columns_of("hcr")
    if not columns:
        return "hand-crafted features, and the table has none"
    found = sorted({image_of(column) for column in columns} - {""})
    if selection.image is not None and selection.image not in found:
        image = selection.image
        return f"features of an image {image!r}, and the table has those of {found or 'one'}"
    return ""


def _lacks_learned(feature_set: FeatureSet, table: LesionTable) -> str:
    """Describe what learned features need and the table does not have."""
    variant = feature_set.variant
    if variant is None:
        return ""
    if not variant.embedding:
        lacks = table.patches is None
        return "patches, and the table has none: extract it with a patch_shape" if lacks else ""
    if variant.embedding not in table.embedding_names:
        return f"an embedding of this name, and the table has {table.embedding_names}"
    if variant.kind == "residual" and not len(table.known.columns):
        return "hand-crafted or clinical features to be independent of, and the table has none"
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
        The baselines. They contain the clinical columns unless a set of hand-crafted ones does
        not, with which they are then compared.
    clinical : bool
        Whether there are clinical columns.

    Returns
    -------
    list of FeatureSet
        The sets, each once.
    """
    apart = any(s.name.startswith(_CLINICAL) for s in chosen)
    chosen = [_named(s, clinical=clinical and not apart) for s in chosen]
    without = any(s.selection is not None and not s.clinical for s in chosen)
    added = [_named(s, clinical=clinical and not without) for s in added]
    return resolve_feature_sets([*chosen, *added], baselines=False)


def _named(feature_set: FeatureSet, *, clinical: bool) -> FeatureSet:
    """Add the clinical columns to a set that may contain them, and to its name, or neither."""
    if not feature_set.clinical or feature_set.name.startswith(_CLINICAL):
        return feature_set
    name = f"{_CLINICAL}+{feature_set.name}" if clinical else feature_set.name
    return replace(feature_set, name=name, clinical=clinical)


def variants_of(sets: Sequence[FeatureSet]) -> list[Variant]:
    """Return the variants of learned features that the feature sets use, each once."""
    return list(dict.fromkeys(s.variant for s in sets if s.variant is not None))
