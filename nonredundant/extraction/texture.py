"""pyradiomics' feature classes with the same formulas in a faster form.

Values equal those of the plain classes to about 1e-12. What differs is the order of computation:
the grey levels of an image are discretised once for all classes, sums over the co-occurrence matrix
are taken from its margins where the formula allows, the maximal correlation coefficient is an
eigenvalue of a symmetric matrix, and moments are computed once. The C loops that count the texture
matrices are pyradiomics' own.

Where the levels of neighbours in a direction are independent, or all of one kind, some features
are roots or ratios of rounding errors. The plain formula is used there, which makes the same ones.

Formulas and names: van Griethuysen et al. 2017 (doi 10.1158/0008-5472.CAN-17-0339).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from radiomics import imageoperations
from radiomics.base import RadiomicsFeaturesBase
from radiomics.firstorder import RadiomicsFirstOrder
from radiomics.glcm import RadiomicsGLCM
from radiomics.gldm import RadiomicsGLDM
from radiomics.glrlm import RadiomicsGLRLM
from radiomics.glszm import RadiomicsGLSZM
from radiomics.ngtdm import RadiomicsNGTDM

#: Name under which the classes find the discretised image among their settings.
DISCRETISED = "discretised"
#: Squared size of the antisymmetric part beyond which an eigenvalue is not taken from the symmetric
#: one: it moves eigenvalues by about this much.
_LARGEST_ASYMMETRY = 1e-12
#: Below these an eigenvalue, a difference of entropies (bits) or a standard deviation (levels) of a
#: direction may be 0 but for rounding.
_LEAST_EIGENVALUE = 1e-5
_LEAST_INFORMATION = 1e-6
_LEAST_SPREAD = 1e-6


class Discretised(NamedTuple):
    """The grey levels of a lesion.

    Attributes
    ----------
    levels : int array of shape (z, y, x)
        Grey level of each voxel of the lesion, from 1; 0 outside.
    mask : bool array of shape (z, y, x)
        The lesion.
    present : int array of shape (n_levels,)
        The levels that occur.
    counts : int array of shape (n_levels,)
        Voxels of each.
    span : int
        Number of levels from the lowest to the highest one.
    extent : float
        Difference between the highest and the lowest intensity.
    """

    levels: np.ndarray
    mask: np.ndarray
    present: np.ndarray
    counts: np.ndarray
    span: int
    extent: float


def discretise(
    image: sitk.Image,
    mask: sitk.Image,
    check: Callable[[float, float], None] | None = None,
    **settings: Any,
) -> Discretised:
    """Discretise the intensities of a lesion as pyradiomics does.

    Parameters
    ----------
    image, mask : SimpleITK.Image
        Intensities, and the lesion's voxels with the label of the settings (1).
    check : callable, optional
        Called with the lowest and the highest intensity before bins are made; it may raise.
    **settings
        pyradiomics' settings, of which `binWidth`, `binCount` and `label` are read.

    Returns
    -------
    Discretised
        The grey levels.
    """
    inside = sitk.GetArrayViewFromImage(mask) == settings.get("label", 1)
    values = sitk.GetArrayViewFromImage(image)[inside]
    # The edges of the bins depend on the two extremes alone.
    ends = np.array([values.min(), values.max()])
    if check is not None:
        check(float(ends[0]), float(ends[1]))
    found = np.digitize(values, imageoperations.getBinEdges(ends, **settings))
    levels = np.zeros(inside.shape, dtype="int")
    levels[inside] = found
    counts = np.bincount(found)
    present = np.flatnonzero(counts)
    span = int(present[-1] - present[0] + 1)
    return Discretised(levels, inside, present, counts[present], span, float(ends[1] - ends[0]))


class _Discretised(RadiomicsFeaturesBase):
    """Takes the discretised image from the settings instead of computing it again."""

    @classmethod
    @functools.cache
    def getFeatureNames(cls) -> dict[str, bool]:
        return super().getFeatureNames()

    def _initSegmentBasedCalculation(self) -> None:
        self.maskArray = self.settings[DISCRETISED].mask
        # A logger below pyradiomics' own, so that it is silent whenever pyradiomics is.
        self.logger = logging.getLogger("radiomics.texture")

    def _applyBinning(self, matrix: Any) -> np.ndarray:
        shared = self.settings[DISCRETISED]
        self.coefficients["grayLevels"] = shared.present
        self.coefficients["Ng"] = int(shared.present[-1])
        return shared.levels


class FirstOrder(_Discretised, RadiomicsFirstOrder):
    """First-order features, with percentiles and moments computed once."""

    def _initCalculation(self, voxelCoordinates: Any = None) -> None:
        values = self.imageArray[self.maskArray].astype("float")
        self.targetVoxelArray = values.reshape((1, -1))
        shared = self.settings[DISCRETISED]
        self.coefficients["p_i"] = (shared.counts / shared.counts.sum()).reshape((1, -1))

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(self.targetVoxelArray, axis=1)

    @cached_property
    def _centred(self) -> np.ndarray:
        return self.targetVoxelArray - self.targetVoxelArray.mean(axis=1, keepdims=True)

    @cached_property
    def _squares(self) -> np.ndarray:
        return self._centred * self._centred

    def _percentile(self, share: float) -> np.ndarray:
        return np.percentile(self._sorted, share, axis=1)

    def get10PercentileFeatureValue(self) -> np.ndarray:
        return self._percentile(10)

    def get90PercentileFeatureValue(self) -> np.ndarray:
        return self._percentile(90)

    def getMedianFeatureValue(self) -> np.ndarray:
        return self._percentile(50)

    def getInterquartileRangeFeatureValue(self) -> np.ndarray:
        return self._percentile(75) - self._percentile(25)

    def getMeanAbsoluteDeviationFeatureValue(self) -> np.ndarray:
        return np.abs(self._centred).mean(axis=1)

    def getRobustMeanAbsoluteDeviationFeatureValue(self) -> np.ndarray:
        low, high = self._percentile(10)[0], self._percentile(90)[0]
        values = self.targetVoxelArray[0]
        kept = values[(values >= low) & (values <= high)]
        return np.array([np.abs(kept - kept.mean()).mean()])

    def getVarianceFeatureValue(self) -> np.ndarray:
        return self._squares.mean(axis=1)

    def getSkewnessFeatureValue(self) -> np.ndarray:
        return self._standardised((self._squares * self._centred).mean(axis=1), 1.5)

    def getKurtosisFeatureValue(self) -> np.ndarray:
        return self._standardised((self._squares**2).mean(axis=1), 2.0)

    def _standardised(self, moment: np.ndarray, power: float) -> np.ndarray:
        """Divide a moment by a power of the variance; a flat region keeps its moment, 0."""
        variance = self._squares.mean(axis=1)
        return moment / np.where(variance == 0, 1.0, variance) ** power


class _PlainGLCM(_Discretised, RadiomicsGLCM):
    """Co-occurrence features by the plain formulas."""


class GLCM(_PlainGLCM):
    """Co-occurrence features, from the margins of the matrix where the formula allows.

    `_cells` has the shape (angles, levels, levels), `px` and `py` are its margins.
    """

    P_glcm: np.ndarray

    def _calculateCoefficients(self) -> None:
        if self.P_glcm.shape[3] == 0:
            # No two voxels are neighbours: the formulas below need a direction.
            self.__class__ = _PlainGLCM
            _PlainGLCM._calculateCoefficients(self)
            return
        cells = np.ascontiguousarray(self.P_glcm[0].transpose(2, 0, 1))
        levels = self.coefficients["grayLevels"]
        n = self.coefficients["Ng"]
        flat = cells.reshape(len(cells), -1)
        sums = (levels[:, None] + levels).ravel()
        differences = np.abs(levels[:, None] - levels).ravel()
        i = levels.astype("float")
        px, py = cells.sum(axis=2), cells.sum(axis=1)
        eps = np.spacing(1)
        by_sum = np.array([np.bincount(sums, row, minlength=2 * n + 1)[2:] for row in flat])
        by_difference = np.array([np.bincount(differences, row, minlength=n) for row in flat])
        self._cells, self._px, self._py, self._levels = cells, px, py, i
        self._mean_x, self._mean_y = px @ i, py @ i
        self.coefficients |= {
            "eps": eps,
            "kValuesSum": np.arange(2, 2 * n + 1, dtype="float"),
            "kValuesDiff": np.arange(0, n, dtype="float"),
            "pxAddy": by_sum.T[None],
            "pxSuby": by_difference.T[None],
            "ux": self._mean_x[None, None, None],
            "HXY": -np.einsum("aij,aij->a", cells, np.log2(cells + eps))[None],
        }

    def _plain(self, feature: str) -> Any:
        """Compute a feature by the plain formula."""
        if "px" not in self.coefficients:
            super()._calculateCoefficients()
        return getattr(super(), f"get{feature}FeatureValue")()

    @cached_property
    def _expected(self) -> np.ndarray:
        """The products of the margins."""
        return self._px[:, :, None] * self._py[:, None, :]

    @cached_property
    def _log_expected(self) -> np.ndarray:
        return np.log2(self._expected + self.coefficients["eps"])

    def _cluster(self, power: int) -> np.ndarray:
        """Compute the mean over angles of the moment of i + j about its mean."""
        sums = self.coefficients["kValuesSum"] - (self._mean_x + self._mean_y)[:, None]
        moments = np.einsum("ka,ak->a", self.coefficients["pxAddy"][0], sums**power)
        return _mean_over_angles(moments)

    def getAutocorrelationFeatureValue(self) -> np.ndarray:
        products = (self._cells @ self._levels) @ self._levels
        return _mean_over_angles(products)

    def getClusterProminenceFeatureValue(self) -> np.ndarray:
        return self._cluster(4)

    def getClusterShadeFeatureValue(self) -> np.ndarray:
        return self._cluster(3)

    def getClusterTendencyFeatureValue(self) -> np.ndarray:
        return self._cluster(2)

    def getContrastFeatureValue(self) -> np.ndarray:
        squares = self.coefficients["kValuesDiff"] ** 2
        return _mean_over_angles(squares @ self.coefficients["pxSuby"][0])

    def getCorrelationFeatureValue(self) -> np.ndarray:
        x = self._levels - self._mean_x[:, None]
        y = self._levels - self._mean_y[:, None]
        spread = np.sqrt((self._px * x**2).sum(axis=1)) * np.sqrt((self._py * y**2).sum(axis=1))
        if np.any(spread < _LEAST_SPREAD):
            return self._plain("Correlation")
        covariance = np.einsum("ai,aij,aj->a", x, self._cells, y, optimize=True)
        return _mean_over_angles(covariance / (spread + self.coefficients["eps"]))

    def getJointEnergyFeatureValue(self) -> np.ndarray:
        return _mean_over_angles(np.einsum("aij,aij->a", self._cells, self._cells))

    def getMaximumProbabilityFeatureValue(self) -> np.ndarray:
        return _mean_over_angles(self._cells.max(axis=(1, 2)))

    def getImc1FeatureValue(self) -> np.ndarray:
        eps = self.coefficients["eps"]
        x, y = (-(p * np.log2(p + eps)).sum(axis=1) for p in (self._px, self._py))
        both = -np.einsum("aij,aij->a", self._cells, self._log_expected)
        larger = np.fmax(x, y)
        gain = self.coefficients["HXY"][0] - both
        if np.any(larger < _LEAST_INFORMATION) or np.any(np.abs(gain) < _LEAST_INFORMATION):
            return self._plain("Imc1")
        return _mean_over_angles(gain / larger)

    def getImc2FeatureValue(self) -> np.ndarray:
        both = -np.einsum("aij,aij->a", self._expected, self._log_expected)
        gain = both - self.coefficients["HXY"][0]
        if np.any(gain < _LEAST_INFORMATION):
            return self._plain("Imc2")
        return _mean_over_angles(np.sqrt(1 - np.exp(-2 * gain)))

    def getSumSquaresFeatureValue(self) -> np.ndarray:
        squares = (self._levels - self._mean_x[:, None]) ** 2
        return _mean_over_angles((self._px * squares).sum(axis=1))

    def getMCCFeatureValue(self) -> Any:
        if len(self._levels) < 2:
            return np.nan if np.isnan(self._cells).any() else 1
        found = np.array(
            [
                _second_eigenvalue(*parts, self.coefficients["eps"])
                for parts in zip(self._cells, self._px, self._expected, strict=True)
            ]
        )
        if np.any(found < _LEAST_EIGENVALUE):
            return self._plain("MCC")
        return _mean_over_angles(np.sqrt(found))


def _mean_over_angles(values: np.ndarray) -> np.ndarray:
    """Return the mean of the values that are no NaN; angles without pairs of voxels are NaN."""
    mean = values.mean()
    return np.array([np.nanmean(values) if np.isnan(mean) else mean])


def _second_eigenvalue(
    cells: np.ndarray, px: np.ndarray, expected: np.ndarray, eps: float
) -> float:
    """Return the second largest eigenvalue of Q = (P / (px py + eps)) Pᵀ; NaN if P has NaN.

    D Q D⁻¹ with D = diag(√px) has the same eigenvalues and is symmetric but for eps. Half its
    difference to its transpose changes them by less than its square over their distance.
    """
    if np.isnan(cells[0, 0]):
        return np.nan
    root = np.sqrt(px)
    left = cells / (expected + eps) * root[:, None]
    right = cells / np.where(root > 0, root, 1)[:, None]
    q = left @ right.T
    if np.square(q - q.T).sum() / 4 > _LARGEST_ASYMMETRY:
        values = np.sort(np.linalg.eigvals(q).real)
    else:
        values = np.linalg.eigvalsh((q + q.T) / 2)
    return float(values[-2])


class GLDM(_Discretised, RadiomicsGLDM):
    """Dependence features of the discretised image."""


class GLRLM(_Discretised, RadiomicsGLRLM):
    """Run-length features of the discretised image."""


class GLSZM(_Discretised, RadiomicsGLSZM):
    """Size-zone features of the discretised image."""


class NGTDM(_Discretised, RadiomicsNGTDM):
    """Neighbourhood grey-tone difference features of the discretised image."""


#: The classes by pyradiomics' names.
CLASSES: dict[str, type[RadiomicsFeaturesBase]] = {
    "firstorder": FirstOrder,
    "glcm": GLCM,
    "gldm": GLDM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "ngtdm": NGTDM,
}
