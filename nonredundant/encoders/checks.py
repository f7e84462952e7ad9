"""What of the lesions does not fit to what a pretrained network was trained to see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.encoders.inputs import Input
from nonredundant.utils.user_warnings import warn_user

#: Change of the voxel size, and share of a lesion's voxels outside of the window or of a field of
#: view that the patch does not cover, above which lesions are named.
LARGE_CHANGE, MUCH_OUTSIDE, MUCH_MISSING = 2.0, 0.05, 0.05
#: Cases that a warning names.
_SHOWN = 5


class InputChecks:
    """What of the lesions does not fit to what the network was trained to see."""

    def __init__(self, spec: Input) -> None:
        self.spec = spec
        self.found: dict[str, list[float]] = {"cut": [], "window": [], "rescaled": [], "short": []}

    def add(self, values: np.ndarray, inside: np.ndarray, spacing: Any) -> None:
        """Look at one patch."""
        spec, own = self.spec, 1.0 if spacing is None else float(spacing)
        step = spec.step(values.shape, spacing)
        shape = np.array(
            spec.shape if len(spec.shape) == values.ndim else values.shape, dtype=float
        )
        if len(spec.shape) < values.ndim:
            shape[-2:] = spec.shape
            shape[0] *= own / step
        extent = _extent(inside) * own
        self.found["cut"].append(float((extent / (shape * step)).max()))
        covered = np.minimum(1.0, np.array(values.shape) * own / (shape * step))
        self.found["short"].append(1.0 - float(covered.prod()))
        fixed = spec.spacing != "fit"
        self.found["rescaled"].append(max(step / own, own / step) if fixed else 1.0)
        outside = 0.0
        if isinstance(spec.window, tuple) and inside.any():
            seen = values[inside]
            outside = float(((seen < spec.window[0]) | (seen > spec.window[1])).mean())
        self.found["window"].append(outside)

    def warn(self, name: str, labels: pd.Index) -> None:
        """Warn once of each kind."""
        low, high = self.spec.window if isinstance(self.spec.window, tuple) else (0.0, 0.0)
        self._tell(
            "cut", 1.0 + 1e-6, name, labels,
            "are larger than its field of view and are cut off in it; the embedding does not see "
            "all of them", lambda worst: f"the largest {worst:.1f} times as large",
        )  # fmt: skip
        self._tell(
            "short", MUCH_MISSING, name, labels,
            "have patches that do not cover its field of view; the nearest voxel is repeated "
            "outside of them. Crop with RadiomicsExtractor(embeddings={...: encoder}), or a larger "
            "patch", lambda worst: f"up to {worst:.0%} is missing",
        )  # fmt: skip
        self._tell(
            "rescaled", LARGE_CHANGE, name, labels,
            f"have patches whose voxels differ from {self.spec.spacing} mm by more than two times",
            lambda worst: f"up to {worst:.1f} times",
        )  # fmt: skip
        self._tell(
            "window", MUCH_OUTSIDE, name, labels,
            f"have more than {MUCH_OUTSIDE:.0%} of their voxels outside of the window {low:g} to "
            f"{high:g}: are these the units that the model was trained on?",
            lambda worst: f"up to {worst:.0%}",
        )  # fmt: skip

    def _tell(
        self,
        kind: str,
        bound: float,
        name: str,
        labels: pd.Index,
        what: str,
        extent: Callable[[float], str],
    ) -> None:
        """Warn of the lesions of which a figure is above a bound."""
        figures = np.array(self.found[kind])
        above = figures > bound
        if above.any():
            cases = labels[above].unique()[:_SHOWN].tolist()
            warn_user(
                f"encoder {name!r}: {int(above.sum())} of {len(above)} lesions {what} "
                f"({extent(float(figures.max()))}): cases {cases}",
                f"encoder {name} {kind}",
            )


def _extent(inside: np.ndarray) -> np.ndarray:
    """Return the sides of the box around the lesion, in voxels."""
    if not inside.any():
        return np.zeros(inside.ndim)
    return np.ptp(np.argwhere(inside), axis=0) + 1.0
