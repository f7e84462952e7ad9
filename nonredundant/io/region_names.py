"""Regions of a structure set or segmentation: their names, and the choice among them."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nonredundant.io.errors import CaseError

#: Number of regions that a note names.
_SHOWN = 5


@dataclass(frozen=True)
class RegionChoice:
    """Which regions of a mask are read, and how.

    Parameters
    ----------
    roi : str or None
        Name or pattern; None: the only region, or with `several` all of them.
    several : bool
        Whether several regions may match, which get the labels 1, 2, … in the order of the file.
    fill_slices : bool
        Whether contours are interpolated on slices that were skipped.
    notes : dict
        Receives what is to be told of the mask, by its kind.

    Examples
    --------
    >>> RegionChoice(roi="GTV*").several
    False
    """

    roi: str | None = None
    several: bool = False
    fill_slices: bool = False
    notes: dict[str, str] = field(default_factory=dict)

    def select(self, drawn: Sequence[str], empty: Sequence[str]) -> list[str]:
        """Choose among the regions of a file, and note those that would match but are not drawn.

        Parameters
        ----------
        drawn, empty : sequence of str
            The regions with contours or voxels, and those with neither.

        Returns
        -------
        list of str
            The chosen regions.

        Raises
        ------
        CaseError
            If none matches, or several do where one is wanted.

        Examples
        --------
        >>> choice = RegionChoice()
        >>> choice.select(["Lung"], ["GTV"]), choice.notes
        (['Lung'], {'undrawn': "'GTV' not drawn, 'Lung' measured"})
        """
        chosen = choose_regions(drawn, self.roi, several=self.several, empty=empty)
        blank = list(empty) if self.roi is None else _matching(empty, self.roi)
        if blank:
            names, measured = (", ".join(map(repr, part[:_SHOWN])) for part in (blank, chosen))
            self.notes["undrawn"] = f"{names} not drawn, {measured} measured"
        return chosen


def choose_regions(
    names: Sequence[str], roi: str | None, *, several: bool, empty: Iterable[str] = ()
) -> list[str]:
    """Choose regions by name or pattern.

    Parameters
    ----------
    names : sequence of str
        The regions of the file that have contours or voxels.
    roi : str or None
        Name or pattern; None: all.
    several : bool
        Whether more than one may match.
    empty : iterable of str, default=()
        The regions of the file that have neither.

    Returns
    -------
    list of str
        The names that match.

    Raises
    ------
    CaseError
        If none matches, or several do where one is wanted; the message lists all names.

    Examples
    --------
    >>> choose_regions(["GTV", "Lung"], "gtv*", several=False)
    ['GTV']
    """
    have = f"the file has {', '.join(map(repr, names))}" if names else "the file has none"
    matching = list(names) if roi is None else _matching(names, roi)
    if not matching:
        blank = list(empty) if roi is None else _matching(empty, roi)
        if blank:
            raise CaseError(
                f"{', '.join(map(repr, blank))} of the file has neither contours nor voxels; {have}"
                "; draw it, or choose another one with `roi`"
            )
        missing = "no region with contours or voxels" if roi is None else f"no region roi={roi!r}"
        raise CaseError(f"{missing}: {have}")
    if len(matching) > 1 and not several:
        match = "" if roi is None else f" match roi={roi!r}"
        raise CaseError(
            f"{len(matching)} regions{match}: {have}; choose one with `roi`, or measure each of "
            "them with lesions='labels'"
        )
    return matching


def distinct_names(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Add the number of the region to names that several regions share.

    Parameters
    ----------
    names : sequence of str
        The names.
    numbers : sequence of int
        The number of each region.

    Returns
    -------
    list of str
        Names that differ from each other.

    Examples
    --------
    >>> distinct_names(["GTV", "GTV", "Lung"], [1, 2, 3])
    ['GTV (number 1)', 'GTV (number 2)', 'Lung']
    """
    return [
        f"{name} (number {number})" if list(names).count(name) > 1 else name
        for name, number in zip(names, numbers, strict=True)
    ]


def _matching(names: Iterable[str], roi: str) -> list[str]:
    """List the names that equal `roi`, or else match it as a pattern."""
    wanted, names = _plain(roi), list(names)
    return [name for name in names if _plain(name) == wanted] or [
        name for name in names if fnmatch.fnmatchcase(_plain(name), wanted)
    ]


def _plain(name: str) -> str:
    """Return a name without what does not tell names apart: case, blanks, forms of accents."""
    return unicodedata.normalize("NFC", name).strip().lower()
