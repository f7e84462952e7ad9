"""Results as small tables of a notebook, with as many digits as are of use."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import numpy as np


def record_html(record: Mapping[str, Any]) -> str:
    """Write the fields of a result as a table of one row, those that are empty left out.

    Parameters
    ----------
    record : mapping of str to object
        Names and values.

    Returns
    -------
    str
        HTML; texts are escaped.

    Examples
    --------
    >>> print(record_html({"estimate": 2 / 3, "p_value": 1e-9, "reason": ""}))
    <table><thead><tr><th>estimate</th><th>p_value</th></tr></thead>
    <tbody><tr><td>0.667</td><td>&lt; 0.001</td></tr></tbody></table>
    """
    kept = {name: value for name, value in record.items() if not _is_empty(value)}
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in kept)
    cells = "".join(f"<td>{html.escape(_text(*item))}</td>" for item in kept.items())
    head, body = f"<thead><tr>{heads}</tr></thead>", f"<tbody><tr>{cells}</tr></tbody>"
    return f"<table>{head}\n{body}</table>"


def _is_empty(value: Any) -> bool:
    """Return whether there is nothing to show."""
    return isinstance(value, str) and not value


def _text(name: str, value: Any) -> str:
    """Format a value with three significant digits, a small p-value as a bound."""
    if not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if np.isnan(value):
        return "not estimable"
    if name == "p_value" and value < 0.001:
        return "< 0.001"
    return str(value) if isinstance(value, int | np.integer) else f"{value:.3g}"
