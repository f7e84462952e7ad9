"""pyradiomics' features of intensities and texture matrices, by formulas in a faster form.

Values equal those of pyradiomics' classes to about 1e-12. What differs is the order of computation:
the grey levels of an image are discretised once for all classes, sums over the co-occurrence matrix
are taken over its cells that are not 0, the maximal correlation coefficient is a singular value,
moments are computed once, and run lengths, zones and dependences share their formulas.

Where the levels of neighbours in a direction are independent, or all of one kind, some features
are roots or ratios of rounding errors. pyradiomics' class is used there, which makes the same ones.

Formulas and names: van Griethuysen et al. 2017 (doi 10.1158/0008-5472.CAN-17-0339).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nonredundant.extraction.counting import Grid, TextureCounts
from nonredundant.extraction.levels import Discretised

#: pyradiomics adds it to probabilities before it takes their logarithm.
_EPS = np.spacing(1)
#: Relative change of a matrix's cells by that addition beyond which the maximal correlation
#: coefficient is left to pyradiomics: its square is neglected.
_LARGEST_CHANGE = 1e-6
#: Below these a singular value, a difference of entropies (bits) or a standard deviation (levels)
#: of a direction may be 0 but for rounding.
_LEAST_CORRELATION = 3e-3
_LEAST_INFORMATION = 1e-4
_LEAST_SPREAD = 1e-6

Values = dict[str, float]


class Texture:
    """A lesion in one image: its intensities, their levels, and the features of each class.

    Parameters
    ----------
    values : array of shape (n_voxels,)
        Intensities.
    levels : Discretised
        Their grey levels.
    grid : Grid
        Where the voxels lie.
    spacing : array of shape (n_dim,)
        Size of the voxels in mm, in the order of array axes.
    setting : mapping
        pyradiomics' settings.
    plain : callable
        Computes features, given the names of their class and of them, with pyradiomics' class.
    """

    def __init__(
        self,
        values: np.ndarray,
        levels: Discretised,
        grid: Grid,
        spacing: np.ndarray,
        setting: Mapping[str, Any],
        plain: Callable[[str, Sequence[str]], Mapping[str, Any]],
    ) -> None:
        self._values, self._levels, self._grid = values.astype(np.float64), levels, grid
        self._spacing, self._setting, self._plain = spacing, setting, plain
        self._counts = TextureCounts(grid, levels, setting)

    def measure(self, name: str, features: Sequence[str]) -> dict[str, Any]:
        """Compute features of a class.

        Parameters
        ----------
        name : str
            pyradiomics' name of the class.
        features : sequence of str
            The features.

        Returns
        -------
        dict of str to float
            Their values, in the same order.
        """
        found = getattr(self, f"_{name}")(features)
        missing = [one for one in features if one not in found]
        if missing:
            found = {**found, **self._plain(name, missing)}
        return {one: found[one] for one in features}

    def _firstorder(self, features: Sequence[str]) -> Values:
        """Compute features of the distribution of intensities."""
        x, present = self._values, self._levels.counts / self._levels.counts.sum()
        energy = float(np.square(x + self._setting.get("voxelArrayShift", 0)).sum())
        p10, p25, p50, p75, p90 = np.percentile(x, (10, 25, 50, 75, 90)).tolist()
        kept = x[(x >= p10) & (x <= p90)]
        robust = float(np.abs(kept - kept.mean()).mean()) if kept.size else np.nan
        mean, low, high = float(x.mean()), float(x.min()), float(x.max())
        centred = x - mean
        squares = centred * centred
        variance = float(squares.mean())
        # A flat region keeps its moments, 0.
        scale = variance if variance else 1.0
        return {
            "10Percentile": p10,
            "90Percentile": p90,
            "Energy": energy,
            "Entropy": float(-(present * np.log2(present + _EPS)).sum()),
            "InterquartileRange": p75 - p25,
            "Kurtosis": float((squares * squares).mean()) / scale**2,
            "Maximum": high,
            "Mean": mean,
            "MeanAbsoluteDeviation": float(np.abs(centred).mean()),
            "Median": p50,
            "Minimum": low,
            "Range": high - low,
            "RobustMeanAbsoluteDeviation": robust,
            "RootMeanSquared": float(np.sqrt(energy / x.size)),
            "Skewness": float((squares * centred).mean()) / scale**1.5,
            "StandardDeviation": float(np.sqrt(variance)),
            "TotalEnergy": energy * float(np.prod(self._spacing)),
            "Uniformity": float((present * present).sum()),
            "Variance": variance,
        }

    def _glcm(self, features: Sequence[str]) -> Values:
        """Compute features of the co-occurrence of levels; without pairs, none."""
        counts = self._counts.pairs().astype(np.float64)
        symmetrical = bool(self._setting.get("symmetricalGLCM", True))
        if symmetrical:
            counts += counts.transpose(0, 2, 1)
        weights = self._weights(self._grid.angles, lambda length: np.exp(-(length**2)))
        counts = _over_angles(counts, weights)
        if not counts.size or not counts.any(axis=(1, 2)).all():
            return {}
        pairs = _Pairs(counts, self._levels.present, symmetrical)
        found = pairs.marginal() | pairs.joint()
        return found | (pairs.correlation() if "MCC" in features else {})

    def _glrlm(self, features: Sequence[str]) -> Values:
        """Compute features of the lengths of runs."""
        weights = self._weights(self._grid.unit_angles, lambda length: length)
        counts = _over_angles(self._counts.runs().astype(np.float64), weights)
        sizes = np.arange(1, counts.shape[2] + 1)
        return _by_size(counts, self._levels.present, sizes, _RUNS)

    def _glszm(self, features: Sequence[str]) -> Values:
        """Compute features of the sizes of zones."""
        counts, sizes = self._counts.zones()
        return _by_size(counts[None].astype(np.float64), self._levels.present, sizes, _ZONES)

    def _gldm(self, features: Sequence[str]) -> Values:
        """Compute features of the numbers of similar neighbours."""
        counts = self._counts.dependent()[None].astype(np.float64)
        sizes = np.arange(1, counts.shape[2] + 1)
        return _by_size(counts, self._levels.present, sizes, _DEPENDENCES)

    def _ngtdm(self, features: Sequence[str]) -> Values:
        """Compute features of the distance of levels to their neighbours' mean."""
        n_voxels = self._levels.counts.sum()
        i, s, p = self._levels.present, self._counts.deviations(), self._levels.counts / n_voxels
        n_levels, total, mean = i.size, float(s.sum()), float(p @ s)
        squares = np.square(np.subtract.outer(i, i))
        sums = np.add.outer(p, p)
        contrast = float(p @ squares @ p) * total / n_voxels
        steps = float(np.abs(np.subtract.outer(i * p, i * p)).sum())
        complexity = np.sqrt(squares) * np.add.outer(p * s, p * s) / sums
        return {
            "Busyness": mean / steps if steps else 0.0,
            "Coarseness": 1 / mean if mean else 1e6,
            "Complexity": float(complexity.sum()) / n_voxels,
            "Contrast": contrast / (n_levels * (n_levels - 1)) if n_levels > 1 else 0.0,
            "Strength": float((sums * squares).sum()) / total if total else 0.0,
        }

    def _weights(
        self, angles: np.ndarray, of_length: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray | None:
        """Compute the weights of directions, None without the setting `weightingNorm`."""
        norm = self._setting.get("weightingNorm")
        if norm is None:
            return None
        steps = np.abs(angles) * self._spacing
        lengths = {
            "infinity": steps.max(axis=1),
            "euclidean": np.sqrt(np.square(steps).sum(axis=1)),
            "manhattan": steps.sum(axis=1),
        }
        return of_length(lengths[norm]) if norm in lengths else np.ones(len(angles))


def _over_angles(counts: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Sum the matrices of all directions by weights, or leave out those that are empty."""
    if weights is not None:
        return np.einsum("a,aij->ij", weights, counts)[None]
    return counts[counts.any(axis=(1, 2))] if len(counts) > 1 else counts


class _Pairs:
    """Probabilities of pairs of levels in each direction, and the features made of them.

    Parameters
    ----------
    counts : array of shape (n_angles, n_levels, n_levels)
        Pairs, some in each direction.
    levels : int array of shape (n_levels,)
        The levels.
    symmetrical : bool
        Whether the matrices are.
    """

    def __init__(self, counts: np.ndarray, levels: np.ndarray, symmetrical: bool) -> None:
        self._n_angles, self._levels, self._symmetrical = len(counts), levels, symmetrical
        self._matrix = counts / counts.sum(axis=(1, 2), keepdims=True)
        self._px = self._matrix.sum(axis=2)
        self._py = self._px if symmetrical else self._matrix.sum(axis=1)
        self._mean_x, self._mean_y = self._px @ levels, self._py @ levels
        # The cells that are not 0.
        self._angle, x, y = np.nonzero(self._matrix)
        self._p = self._matrix[self._angle, x, y]
        self._x, self._y, self._i, self._j = x, y, levels[x], levels[y]
        self._expected = self._px[self._angle, x] * self._py[self._angle, y]

    def _by_angle(self, values: np.ndarray) -> np.ndarray:
        """Sum values of the cells in each direction."""
        return np.bincount(self._angle, values, minlength=self._n_angles)

    def _by_key(self, keys: np.ndarray, n: int) -> np.ndarray:
        """Sum probabilities by direction and key."""
        found = np.bincount(self._angle * n + keys, self._p, minlength=self._n_angles * n)
        return found.reshape(self._n_angles, n)

    def marginal(self) -> Values:
        """Compute features of the sums and the differences of two levels."""
        n = int(self._levels[-1])
        sums, differences = (
            self._by_key(self._i + self._j, 2 * n + 1),
            self._by_key(np.abs(self._i - self._j), n),
        )
        k = np.arange(n)
        about = np.arange(2 * n + 1) - (self._mean_x + self._mean_y)[:, None]
        square = about * about
        difference = differences @ k
        spread = np.square(k - difference[:, None])
        found = {
            "ClusterProminence": (sums * square * square).sum(axis=1),
            "ClusterShade": (sums * square * about).sum(axis=1),
            "ClusterTendency": (sums * square).sum(axis=1),
            "Contrast": differences @ k**2,
            "DifferenceAverage": difference,
            "DifferenceEntropy": _entropy(differences),
            "DifferenceVariance": (differences * spread).sum(axis=1),
            "Id": differences @ (1 / (1 + k)),
            "Idm": differences @ (1 / (1 + k**2)),
            "Idmn": differences @ (1 / (1 + k**2 / n**2)),
            "Idn": differences @ (1 / (1 + k / n)),
            "InverseVariance": differences[:, 1:] @ (1 / k[1:] ** 2.0),
            "JointAverage": self._mean_x,
            "SumAverage": sums @ np.arange(2 * n + 1),
            "SumEntropy": _entropy(sums),
            "SumSquares": (self._px * np.square(self._levels - self._mean_x[:, None])).sum(axis=1),
        }
        return {name: float(values.mean()) for name, values in found.items()}

    def joint(self) -> Values:
        """Compute features of the cells; those that may be rounding errors are left out."""
        p, angle = self._p, self._angle
        found = {
            "Autocorrelation": self._by_angle(p * self._i * self._j),
            "JointEnergy": self._by_angle(p * p),
            "JointEntropy": -self._by_angle(p * np.log2(p + _EPS)),
            "MaximumProbability": self._matrix.max(axis=(1, 2)),
        }
        x, y = (
            self._levels - self._mean_x[:, None],
            self._levels - self._mean_y[:, None],
        )
        spread = np.sqrt((self._px * x * x).sum(axis=1) * (self._py * y * y).sum(axis=1))
        if np.all(spread >= _LEAST_SPREAD):
            covariance = self._by_angle(p * x[angle, self._x] * y[angle, self._y])
            found["Correlation"] = covariance / (spread + _EPS)
        entropy = found["JointEntropy"]
        entropy_x, entropy_y = _entropy(self._px), _entropy(self._py)
        gain = -self._by_angle(p * np.log2(self._expected + _EPS)) - entropy
        larger = np.maximum(entropy_x, entropy_y)
        if np.all(larger >= _LEAST_INFORMATION) and np.all(gain >= _LEAST_INFORMATION):
            found["Imc1"] = -gain / larger
        # Over all cells, log(px py + eps) = log px + log py + eps / (px py) to first order.
        cells = (self._px > 0).sum(axis=1) * (self._py > 0).sum(axis=1)
        gain = _exact_entropy(self._px) + _exact_entropy(self._py) - entropy
        gain -= cells * _EPS / np.log(2)
        if np.all(gain >= _LEAST_INFORMATION):
            found["Imc2"] = np.sqrt(1 - np.exp(-2 * gain))
        return {name: float(values.mean()) for name, values in found.items()}

    def correlation(self) -> Values:
        """Compute the maximal correlation coefficient, unless it may be a rounding error.

        It is the second singular value of P / √(px py): pyradiomics takes the root of the second
        eigenvalue of P / (px py) Pᵀ. Both add eps to px py, with the same effect to first order.
        """
        if len(self._levels) < 2 or self._expected.min() * _LARGEST_CHANGE < _EPS:
            return {}
        scaled = np.zeros_like(self._matrix)
        scaled[self._angle, self._x, self._y] = self._p / np.sqrt(self._expected + _EPS)
        if self._symmetrical:
            values = np.sort(np.abs(np.linalg.eigvalsh(scaled)), axis=1)[:, -2]
        else:
            values = np.linalg.svd(scaled, compute_uv=False)[:, 1]
        return {"MCC": float(values.mean())} if np.all(values >= _LEAST_CORRELATION) else {}


def _entropy(p: np.ndarray) -> np.ndarray:
    """Compute the entropy in bits of each row."""
    return -(p * np.log2(p + _EPS)).sum(axis=1)


def _exact_entropy(p: np.ndarray) -> np.ndarray:
    """Compute the entropy in bits of each row, without the addition of eps."""
    return -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1)


#: Features of counts by level and size. `low`, none and `high` weigh levels i by 1/i², 1 and i²,
#: `small`, none and `large` the sizes.
_RUNS = {
    "ShortRunEmphasis": "small",
    "LongRunEmphasis": "large",
    "LowGrayLevelRunEmphasis": "low",
    "HighGrayLevelRunEmphasis": "high",
    "ShortRunLowGrayLevelEmphasis": "small low",
    "ShortRunHighGrayLevelEmphasis": "small high",
    "LongRunLowGrayLevelEmphasis": "large low",
    "LongRunHighGrayLevelEmphasis": "large high",
    "GrayLevelNonUniformity": "level non-uniformity",
    "GrayLevelNonUniformityNormalized": "level non-uniformity, normalised",
    "RunLengthNonUniformity": "size non-uniformity",
    "RunLengthNonUniformityNormalized": "size non-uniformity, normalised",
    "GrayLevelVariance": "level variance",
    "RunVariance": "size variance",
    "RunEntropy": "entropy",
    "RunPercentage": "percentage",
}
_ZONES = {
    "SmallAreaEmphasis": "small",
    "LargeAreaEmphasis": "large",
    "LowGrayLevelZoneEmphasis": "low",
    "HighGrayLevelZoneEmphasis": "high",
    "SmallAreaLowGrayLevelEmphasis": "small low",
    "SmallAreaHighGrayLevelEmphasis": "small high",
    "LargeAreaLowGrayLevelEmphasis": "large low",
    "LargeAreaHighGrayLevelEmphasis": "large high",
    "GrayLevelNonUniformity": "level non-uniformity",
    "GrayLevelNonUniformityNormalized": "level non-uniformity, normalised",
    "SizeZoneNonUniformity": "size non-uniformity",
    "SizeZoneNonUniformityNormalized": "size non-uniformity, normalised",
    "GrayLevelVariance": "level variance",
    "ZoneVariance": "size variance",
    "ZoneEntropy": "entropy",
    "ZonePercentage": "percentage",
}
_DEPENDENCES = {
    "SmallDependenceEmphasis": "small",
    "LargeDependenceEmphasis": "large",
    "LowGrayLevelEmphasis": "low",
    "HighGrayLevelEmphasis": "high",
    "SmallDependenceLowGrayLevelEmphasis": "small low",
    "SmallDependenceHighGrayLevelEmphasis": "small high",
    "LargeDependenceLowGrayLevelEmphasis": "large low",
    "LargeDependenceHighGrayLevelEmphasis": "large high",
    "GrayLevelNonUniformity": "level non-uniformity",
    "DependenceNonUniformity": "size non-uniformity",
    "DependenceNonUniformityNormalized": "size non-uniformity, normalised",
    "GrayLevelVariance": "level variance",
    "DependenceVariance": "size variance",
    "DependenceEntropy": "entropy",
}


def _by_size(
    counts: np.ndarray, levels: np.ndarray, sizes: np.ndarray, names: Mapping[str, str]
) -> Values:
    """Compute features of counts by direction, level and size; without counts, none."""
    n = counts.sum(axis=(1, 2))
    if not n.size or not n.all():
        return {}
    squares = np.square(levels.astype(np.float64)), np.square(sizes.astype(np.float64))
    by_level, by_size = (np.array([1 / one, np.ones(one.size), one]) for one in squares)
    joint = (by_level @ counts @ by_size.T / n[:, None, None]).transpose(1, 2, 0)
    of_level, of_size = counts.sum(axis=2), counts.sum(axis=1)
    level_squares, size_squares = (np.square(one).sum(axis=1) for one in (of_level, of_size))
    angle, *cell = np.nonzero(counts)
    p = counts[angle, *cell] / n[angle]
    found = {
        "small low": joint[0, 0],
        "low": joint[0, 1],
        "large low": joint[0, 2],
        "small": joint[1, 0],
        "large": joint[1, 2],
        "small high": joint[2, 0],
        "high": joint[2, 1],
        "large high": joint[2, 2],
        "level non-uniformity": level_squares / n,
        "level non-uniformity, normalised": level_squares / n**2,
        "size non-uniformity": size_squares / n,
        "size non-uniformity, normalised": size_squares / n**2,
        "level variance": _variance(of_level / n[:, None], levels),
        "size variance": _variance(of_size / n[:, None], sizes),
        "entropy": -np.bincount(angle, p * np.log2(p + _EPS), minlength=n.size),
        "percentage": n / (of_size @ sizes),
    }
    return {name: float(found[key].mean()) for name, key in names.items()}


def _variance(p: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Compute the variance of values by each row of probabilities."""
    mean = p @ values
    return (p * np.square(values - mean[:, None])).sum(axis=1)
