"""The only place that imports private parts of scikit-learn, and how outputs get their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils.validation import validate_data

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "NamedOutputMixin",
    "Options",
    "StrOptions",
    "validate_data",
]


class NamedOutputMixin:
    """`set_output` for transformers that may also return a `LesionTable`.

    scikit-learn's own wrapper would force every output into a data frame; a table of several
    lesions a sample must pass through it untouched, so wrapping is asked for explicitly.
    """

    def set_output(self, *, transform: str | None = None) -> NamedOutputMixin:
        """Choose the container that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            The container; None leaves the choice as it is.

        Returns
        -------
        self
            The transformer.

        Raises
        ------
        ValueError
            If the container is unknown.
        """
        if transform is None:
            return self
        if transform not in ("default", "pandas", "polars"):
            raise ValueError(
                f"output config must be one of 'default', 'pandas', 'polars', got {transform!r}"
            )
        # The attribute's name is scikit-learn's, so that `clone` carries the choice over.
        self._sklearn_output_config = {"transform": transform}
        return self

    def _wrap(self, values: np.ndarray, index: Any = None) -> Any:
        """Return the values in the container that the user chose, with the feature names."""
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform", get_config()["transform_output"])
        if container == "default":
            return values
        names = self.get_feature_names_out()  # type: ignore[attr-defined]
        if container == "pandas":
            return pd.DataFrame(values, columns=names, index=index)
        import polars

        return polars.DataFrame(values, schema=list(names), orient="row")
