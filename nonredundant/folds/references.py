"""Which feature set is tested against which, and which comparison is reported first.

A set is compared with the set that has the same known columns and no learned ones: what is new in
the difference is then what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from nonredundant.folds.feature_sets import FeatureSet


class Rule(NamedTuple):
    """A kind of comparison: for which sets it is made, and with which other set."""

    what: str
    applies: Callable[[FeatureSet], bool]
    is_reference: Callable[[FeatureSet, FeatureSet], bool]


#: Kinds of learned columns that come of a model, a network or one whose embedding is given.
_MODELS = ("vae", "embedding")


def _same_known(feature_set: FeatureSet, other: FeatureSet) -> bool:
    """Return whether two sets have the same hand-crafted and clinical columns."""
    pairs = (feature_set.selection, feature_set.clinical), (other.selection, other.clinical)
    return pairs[0] == pairs[1]


def _same_fusion(feature_set: FeatureSet, other: FeatureSet) -> bool:
    """Return whether both sets are late fusions, or neither is."""
    return bool(feature_set.parts) == bool(other.parts)


def _is_plain(feature_set: FeatureSet, other: FeatureSet) -> bool:
    """Return whether another set has the learned columns of a network without the term.

    For a given embedding, it has the columns of the same embedding as they are.
    """
    variant, plain = feature_set.variant, other.variant
    same = variant is not None and plain is not None and variant.embedding == plain.embedding
    return same and plain is not None and plain.kind in _MODELS and not plain.term


def _is_same_size(feature_set: FeatureSet, other: FeatureSet) -> bool:
    """Return whether two networks have as many latents; components have no fixed number."""
    variant = feature_set.variant
    components = variant is not None and variant.kind == "pca"
    return components or _size(feature_set) == _size(other)


def _size(feature_set: FeatureSet) -> int | None:
    """Return the number of learned columns; None if the set does not name one."""
    return None if feature_set.variant is None else feature_set.variant.size


def _is_of_all_images(feature_set: FeatureSet) -> bool:
    """Return whether a set has the hand-crafted features of all images, and no learned ones."""
    return feature_set.is_hcr and _image(feature_set) is None and not feature_set.parts


def _is_of_one_image(feature_set: FeatureSet) -> bool:
    """Return whether a set has the hand-crafted features of one image, and no learned ones."""
    return feature_set.is_hcr and _image(feature_set) is not None


def _image(feature_set: FeatureSet) -> str | None:
    """Return the only image of a set's hand-crafted features; None for those of all images."""
    return None if feature_set.selection is None else feature_set.selection.image


def _part_of(feature_set: FeatureSet) -> object:
    """Return what a set selects of the features of an image."""
    selection = feature_set.selection
    return None if selection is None else (selection.classes, selection.k)


#: Every kind of comparison. Each rule that applies gives one reference: the first set that fits,
#: one with as many learned columns before others.
RULES = (
    Rule(
        "what radiomics add to clinical columns",
        lambda s: s.is_hcr and s.clinical,
        lambda s, other: other.is_clinical_alone,
    ),
    Rule(
        "what other images add to one",
        lambda s: _is_of_all_images(s),
        lambda s, other: (
            _is_of_one_image(other)
            and s.clinical == other.clinical
            and _part_of(s) == _part_of(other)
        ),
    ),
    Rule(
        "what learned columns add to the same known ones",
        lambda s: s.is_fused,
        lambda s, other: other.is_known and _same_known(s, other) and not other.parts,
    ),
    Rule(
        "what the independence term, or another way to learn, changes",
        lambda s: s.is_fused,
        lambda s, other: (
            other.is_fused
            and _same_known(s, other)
            and _same_fusion(s, other)
            and _is_plain(s, other)
            and _is_same_size(s, other)
        ),
    ),
    Rule(
        "what a model per block gains over one model of all columns",
        lambda s: bool(s.parts),
        lambda s, other: not other.parts and _same_known(s, other) and s.variant == other.variant,
    ),
    Rule(
        "how a few simple columns, or learned ones alone, compare with radiomics",
        lambda s: s.selection is None and not s.clinical,
        lambda s, other: other.is_hcr and not other.parts,
    ),
)

#: What is reported first, by its kind; the first kind that is among the sets.
PRIORITY: tuple[tuple[str, Callable[[FeatureSet], bool]], ...] = (
    ("networks with the independence term beside known columns", lambda s: _is_term(s)),
    ("networks beside known columns", lambda s: s.is_fused and _is_network(s)),
    ("other learned columns beside known ones", lambda s: s.is_fused),
    ("radiomics beside clinical columns", lambda s: s.is_hcr and s.clinical),
)


def _is_network(feature_set: FeatureSet) -> bool:
    """Return whether the learned columns are those of a network, or a given embedding."""
    return feature_set.variant is not None and feature_set.variant.kind in _MODELS


def _is_term(feature_set: FeatureSet) -> bool:
    """Return whether a fused set's network has the independence term, or its embedding is so."""
    return feature_set.is_fused and feature_set.variant is not None and feature_set.variant.term


def references(sets: Sequence[FeatureSet], feature_set: FeatureSet) -> list[str]:
    """Return the sets that a set is tested against, by the table of rules.

    Parameters
    ----------
    sets : sequence of FeatureSet
        All sets of the comparison.
    feature_set : FeatureSet
        One of them.

    Returns
    -------
    list of str
        Names, that of the known columns first.
    """
    chosen = [
        min(fitting, key=lambda s: _size(s) != _size(feature_set)).name
        for rule in RULES
        if rule.applies(feature_set)
        and (fitting := [s for s in sets if rule.is_reference(feature_set, s)])
    ]
    return [name for name in dict.fromkeys(chosen) if name != feature_set.name]


def choose_others(sets: Sequence[FeatureSet], primary: str) -> dict[str, tuple[str, str]]:
    """Choose what is reported of the models beside the one that is reported first.

    Parameters
    ----------
    sets : sequence of FeatureSet
        The sets that can be reported.
    primary : str
        The set that is reported first.

    Returns
    -------
    dict of str to (str, str)
        Model, an embedding or "network", and its set and reference. Empty without embeddings.
    """
    ranked = [s for _, is_kind in PRIORITY[:2] for s in sets if is_kind(s)]
    if not any(s.variant is not None and s.variant.embedding for s in ranked):
        return {}
    found: dict[str, tuple[str, str]] = {}
    taken = {_model(s) for s in sets if s.name == primary}
    for one in ranked:
        against = references(sets, one)
        if _model(one) not in taken and against:
            found.setdefault(_model(one), (one.name, against[0]))
    return found


def _model(feature_set: FeatureSet) -> str:
    """Return the name of the model that a set's learned columns come of."""
    variant = feature_set.variant
    return "" if variant is None else variant.embedding or "network"


def choose_primary(
    sets: Sequence[FeatureSet], published: Collection[str] = ()
) -> tuple[str, str | None]:
    """Choose the comparison to report before any result is seen.

    Parameters
    ----------
    sets : sequence of FeatureSet
        The sets that can be reported.
    published : collection of str
        Names of sets that a published protocol reports.

    Returns
    -------
    feature_set, reference : str, str or None
        The set and what it is tested against; None without such a set.
    """
    ranked = [s for _, is_kind in PRIORITY for s in sets if is_kind(s)]
    if any(_is_of_one_image(s) for s in sets):
        ranked += [s for s in sets if _is_of_all_images(s)]
    compared = [s for s in ranked if references(sets, s)]
    named = [s for s in sets if s.name in published]
    chosen = [*named, *compared, *ranked, *sets][0]
    against = references(sets, chosen) if chosen in ranked else []
    return chosen.name, against[0] if against else None
