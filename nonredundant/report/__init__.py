"""The report of a comparison: one HTML file that needs no network, for screen, phone and paper."""

from __future__ import annotations

from nonredundant.report.page import write_report

__all__ = ["write_report"]
