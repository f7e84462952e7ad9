"""Measure another image of a case, in the order of the lesions of the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nonredundant.extraction.case_table import Sources
from nonredundant.extraction.memory import check_sources, memory_limit
from nonredundant.extraction.one_case import (
    CaseMeasurement,
    Crops,
    Plan,
    as_matrix,
    in_units,
    measure_regions,
    note_place,
    read_regions,
)
from nonredundant.extraction.patches import crop_channel
from nonredundant.extraction.regions import OK, Region
from nonredundant.extraction.space import (
    Space,
    check_dimensions,
    check_same_labels,
    check_same_place,
    check_same_space,
)
from nonredundant.io.errors import CaseError
from nonredundant.io.images import has_grid, read_image
from nonredundant.io.series import acquisition_date, is_plane

if TYPE_CHECKING:
    import SimpleITK as sitk


def measure_beside(
    sources: Sources, plan: Plan, space: Space, *, shared: bool, in_space: bool
) -> CaseMeasurement:
    """Measure the lesions of another image of a case, in the order of those of the first one.

    Parameters
    ----------
    sources : Sources
        The image, with its mask or the one that it shares with the first image.
    plan : Plan
        What is measured of it.
    space : Space
        Where the first image and its lesions lie.
    shared : bool
        Whether the mask is that of the first image.
    in_space : bool
        Whether the image must lie in the space of the first one.

    Returns
    -------
    CaseMeasurement
        One row per lesion of the first image, NaN for one that is too small on the grid of this
        image; patches on the grids of the first image's.

    Raises
    ------
    CaseError
        If the image is not in one space with the first one, or cannot be measured.
    """
    check_sources(sources.image, sources.mask, memory_limit(plan.max_memory))
    image = read_image(sources.image, spacing=sources.spacing)
    check_dimensions(image, space)
    acquired = acquisition_date(image)
    if in_space:
        located = has_grid(sources.image) and not is_plane(image)
        check_same_space(image, space, located=located)
    notes: dict[str, str] = {}
    image = in_units(image, plan)
    regions, drawn = read_regions(image, sources, plan, notes, space if shared else None)
    if shared:
        _settle_note_of_resampling(notes)
    pairs = _paired(regions, drawn, plan, space, notes, shared=shared)
    if in_space and not shared and space.located:
        check_same_place(image, pairs, space)
    place_of = {one.label: place for one, place in pairs}
    kept, rows, levels = measure_regions(image, [one for one, _ in pairs], plan, notes)
    note_place(image, kept, sources, plan, notes)
    names, found = as_matrix(rows)
    features = np.full((len(space.labels), len(names)), np.nan)
    features[[place_of[one.label] for one in kept]] = found
    lost = len(features) - len(kept)
    if lost:
        notes["unmatched"] = f"{lost} of {len(features)} lesions"
    return CaseMeasurement(
        n_dim=image.GetDimension(),
        joined_names="\n".join(names),
        features=features,
        positions=np.full((len(features), space.n_dim), np.nan),
        status=[OK] * len(features),
        levels=levels,
        notes=notes,
        crops=_crop_channels(image, space, plan),
        acquired=acquired,
    )


def _paired(
    regions: list[Region],
    drawn: list[int],
    plan: Plan,
    space: Space,
    notes: dict[str, str],
    *,
    shared: bool,
) -> list[tuple[Region, int]]:
    """Return the lesions of an image that the first one has, each with its position there."""
    if plan.lesions != "labels":
        # One lesion in each image, whatever its label.
        return [(regions[0], 0)]
    places = {label: i for i, label in enumerate(space.labels)}
    if not shared:
        check_same_labels(drawn, space)
        others = [label for label in drawn if label not in places]
        if others:
            notes["labels"] = f"labels {others}, which are not those of {space.name!r}"
    pairs = [(one, places[one.label]) for one in regions if one.label in places]
    if not pairs:
        raise CaseError(
            f"none of the lesions of {space.name!r} is large enough on its grid; lower min_voxels "
            "or min_volume, or leave the image empty and set on_missing='nan'"
        )
    return pairs


def _settle_note_of_resampling(notes: dict[str, str]) -> None:
    """Drop the note that a mask was resampled, as it must be, unless it lost or gained volume."""
    note = notes.pop("resampled", "")
    changed = " of its volume lost" in note or "its volume grew by" in note
    if changed and "uncovered" not in notes:
        notes["regridded"] = note


def _crop_channels(image: sitk.Image, space: Space, plan: Plan) -> Crops | None:
    """Interpolate an image on the grids of the patches of the first image of its case."""
    if plan.patch_shape is None:
        return None
    n_dim = space.n_dim
    shape = plan.patch_shape[-n_dim:]
    patches = np.zeros((len(space.grids), 1, *shape), dtype=np.float32)
    for i, grid in enumerate(space.grids):
        if grid is not None:
            patches[i] = crop_channel(image, grid, shape)
    none = np.empty(0)
    return Crops(patches, none, none)
