"""Containers of transformer outputs: arrays or data frames with feature names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config


class NamedOutputMixin:
    """`set_output` for transformers that may also return a `LesionTable`.

    scikit-learn's own wrapper would convert every output to a data frame. A table with several
    lesions per sample must stay a table, so `transform` wraps its arrays explicitly with `_wrap`.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        # Not inherited: each subclass of a transformer would be wrapped anew.
        super().__init_subclass__(**{**options, "auto_wrap_output_keys": None})

    def set_output(self, *, transform: str | None = None) -> NamedOutputMixin:
        """Choose the container that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            The container; None leaves the setting unchanged.

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
        # The attribute has scikit-learn's name, so that `clone` copies the setting.
        self._sklearn_output_config = {"transform": transform}
        return self

    def _wrap(self, values: np.ndarray, index: Any = None) -> Any:
        """Convert the values to the container that the user chose, with the feature names."""
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform", get_config()["transform_output"])
        if container == "default":
            return values
        names = self.get_feature_names_out()  # type: ignore[attr-defined]
        if container == "pandas":
            return pd.DataFrame(values, columns=names, index=index)
        import polars

        return polars.DataFrame(values, schema=list(names), orient="row")
