"""The parameters of several images per case: their names, and what differs between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.validation import InvalidParameterError, validate_parameter_constraints

#: Parameters of the extractor that an image may have for itself.
OPTIONS = (
    "modality",
    "settings",
    "bin_width",
    "bin_count",
    "spacing",
    "image_types",
    "feature_classes",
    "roi",
    "label",
    "label_channel",
    "fill_slices",
)
#: A name begins the names of columns and, with a colon, those of feature sets.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


def check_images(images: Mapping[str, Any] | None) -> list[str]:
    """Return the names of several images; none if there is one image without a name.

    Raises
    ------
    InvalidParameterError
        If there is no image, or a name cannot begin that of a column.
    """
    if images is None:
        return []
    bad = [name for name in images if not (isinstance(name, str) and _NAME.fullmatch(name))]
    if bad or not images:
        raise InvalidParameterError(
            "images must have a name for each image, of letters, digits and single underscores, "
            f"such as {{'pet': {{'modality': 'PET'}}}}; got {bad or images!r}"
        )
    return list(images)


def check_delta(delta: Any, images: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return the two images whose features are compared; None for none.

    Raises
    ------
    InvalidParameterError
        If they are not two images with the same parameters.
    """
    if delta is None:
        return None
    names = check_images(images)
    if len(delta) != 2 or delta[0] == delta[1] or not set(delta) <= set(names):
        raise InvalidParameterError(
            f"delta must be two names of images={names or None}, such as ('after', 'before'), got "
            f"{delta!r}"
        )
    taken = [name for name in names if name in ("delta", "ratio")]
    if taken:
        raise InvalidParameterError(
            f"images are named {taken}, as the columns of `delta` are; rename these images"
        )
    one, two = ((images or {})[name] or {} for name in delta)
    measured = ("modality", "settings", "bin_width", "bin_count", "spacing", "image_types")
    differ = [name for name in measured if one.get(name) != two.get(name)]
    if differ:
        raise InvalidParameterError(
            f"delta compares features that are measured alike, but {differ} differ between "
            f"{delta[0]!r} and {delta[1]!r}; give both the same"
        )
    return str(delta[0]), str(delta[1])


def resolved_options(images: Mapping[str, Any], extractor: type) -> dict[str, dict[str, Any]]:
    """Check the parameters that are those of single images.

    Parameters
    ----------
    images : mapping
        Names of images, and the parameters of each.
    extractor : type
        The class whose constraints the parameters must meet.

    Returns
    -------
    dict of str to dict
        The parameters of each image.

    Raises
    ------
    InvalidParameterError
        If a name or a parameter is unknown, or a value out of range.
    """
    found = {}
    for name in check_images(images):
        own = images[name]
        if own is not None and not isinstance(own, Mapping):
            raise InvalidParameterError(
                f"images[{name!r}] must be a dict of parameters, such as {{'modality': 'PET'}}, "
                f"got {own!r}"
            )
        found[name] = dict(own or {})
        unknown = [one for one in found[name] if one not in OPTIONS]
        if unknown:
            raise InvalidParameterError(
                f"images[{name!r}] has the parameters {unknown}, and an image may have "
                f"{list(OPTIONS)} for itself; set others for the whole extractor"
                f"{suggest_names(unknown, OPTIONS)}"
            )
        constraints = {one: extractor._parameter_constraints[one] for one in found[name]}  # type: ignore[attr-defined]
        validate_parameter_constraints(constraints, found[name], f"images[{name!r}] of extractor")
    return found
