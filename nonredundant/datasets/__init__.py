"""Phantoms with known truth, and fetchers of public cohorts."""

from __future__ import annotations

from nonredundant.datasets.contrastive import make_contrastive, make_digits_on_textures
from nonredundant.datasets.fetchers import fetch_adrenal, fetch_pneumonia, fetch_sts
from nonredundant.datasets.lesions import make_lesions
from nonredundant.datasets.nsclc import fetch_hosny, fetch_lung1
from nonredundant.datasets.survival import make_survival_times

__all__ = [
    "fetch_adrenal",
    "fetch_hosny",
    "fetch_lung1",
    "fetch_pneumonia",
    "fetch_sts",
    "make_contrastive",
    "make_digits_on_textures",
    "make_lesions",
    "make_survival_times",
]
