"""The report of a comparison: one HTML file that needs no network, for screen, phone and paper."""

from __future__ import annotations

from nonredundant.report.exports import save_figures, save_tables
from nonredundant.report.methods_text import methods_text
from nonredundant.report.model_card import model_card
from nonredundant.report.page import write_report

__all__ = ["methods_text", "model_card", "save_figures", "save_tables", "write_report"]
