"""The literature that the report cites."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

_SITES = {"doi": "https://doi.org/", "arXiv": "https://arxiv.org/abs/"}


class Reference(NamedTuple):
    """A cited work: its text, and where it is found."""

    text: str
    site: str
    identifier: str


#: Numbered from 1 in this order.
REFERENCES = {
    "pyradiomics": Reference(
        "van Griethuysen et al. Computational radiomics system to decode the radiographic "
        "phenotype. Cancer Research 77, e104–e107 (2017).",
        "doi",
        "10.1158/0008-5472.CAN-17-0339",
    ),
    "vetil": Reference(
        "Vétil et al. Non-redundant combination of hand-crafted and deep learning radiomics: "
        "application to the early detection of pancreatic cancer (2023).",
        "arXiv",
        "2308.11389",
    ),
    "szekely": Reference(
        "Székely & Rizzo. Partial distance correlation with methods for dissimilarities. Annals "
        "of Statistics 42, 2382–2412 (2014).",
        "doi",
        "10.1214/14-AOS1255",
    ),
    "nadeau": Reference(
        "Nadeau & Bengio. Inference for the generalization error. Machine Learning 52, 239–281 "
        "(2003).",
        "doi",
        "10.1023/A:1024068626366",
    ),
    "delong": Reference(
        "DeLong, DeLong & Clarke-Pearson. Comparing the areas under two or more correlated "
        "receiver operating characteristic curves: a nonparametric approach. Biometrics 44, "
        "837–845 (1988).",
        "doi",
        "10.2307/2531595",
    ),
    "sun": Reference(
        "Sun & Xu. Fast implementation of DeLong's algorithm for comparing the areas under "
        "correlated receiver operating characteristic curves. IEEE Signal Processing Letters 21, "
        "1389–1393 (2014).",
        "doi",
        "10.1109/LSP.2014.2337313",
    ),
    "vancalster": Reference(
        "Van Calster et al. Calibration: the Achilles heel of predictive analytics. BMC Medicine "
        "17, 230 (2019).",
        "doi",
        "10.1186/s12916-019-1466-7",
    ),
    "vickers": Reference(
        "Vickers & Elkin. Decision curve analysis: a novel method for evaluating prediction "
        "models. Medical Decision Making 26, 565–574 (2006).",
        "doi",
        "10.1177/0272989X06295361",
    ),
    "clear": Reference(
        "Kocak et al. CheckList for EvaluAtion of Radiomics research (CLEAR). Insights into "
        "Imaging 14, 75 (2023).",
        "doi",
        "10.1186/s13244-023-01415-8",
    ),
    "metrics": Reference(
        "Kocak et al. METhodological RadiomICs Score (METRICS): a quality scoring tool for "
        "radiomics research. Insights into Imaging 15, 8 (2024).",
        "doi",
        "10.1186/s13244-023-01572-w",
    ),
    "lambin": Reference(
        "Lambin et al. Radiomics Quality Score 2.0: towards radiomics readiness levels and "
        "clinical translation for personalized medicine. Nature Reviews Clinical Oncology 22, "
        "831–846 (2025).",
        "doi",
        "10.1038/s41571-025-01067-1",
    ),
    "ledell": Reference(
        "LeDell, Petersen & van der Laan. Computationally efficient confidence intervals for "
        "cross-validated area under the ROC curve estimates. Electronic Journal of Statistics 9, "
        "1583–1607 (2015).",
        "doi",
        "10.1214/15-EJS1035",
    ),
    "tripod": Reference(
        "Collins et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction "
        "models that use regression or machine learning methods. BMJ 385, e078378 (2024).",
        "doi",
        "10.1136/bmj-2023-078378",
    ),
    "thiery": Reference(
        "Thiery et al. Graph-based multimodal multi-lesion DLBCL treatment response prediction "
        "from PET images (2023).",
        "arXiv",
        "2310.16863",
    ),
    "harrell": Reference(
        "Harrell et al. Evaluating the yield of medical tests. JAMA 247, 2543–2546 (1982).",
        "doi",
        "10.1001/jama.1982.03320430047030",
    ),
    "kang": Reference(
        "Kang et al. Comparing two correlated C indices with right-censored survival outcome: a "
        "one-shot nonparametric approach. Statistics in Medicine 34, 685–703 (2015).",
        "doi",
        "10.1002/sim.6370",
    ),
}
_NUMBERS = {key: number for number, key in enumerate(REFERENCES, start=1)}


def cite(*keys: str) -> Markup:
    """Cite references by their numbers, as links into the list of references."""
    links = (Markup('<a href="#ref-{0}">{0}</a>').format(_NUMBERS[key]) for key in keys)
    return Markup("<sup>{}</sup>").format(Markup(", ").join(links))


def citation_text(key: str) -> str:
    """Return a reference as plain text with its address."""
    one = REFERENCES[key]
    return f"{one.text} {_SITES[one.site]}{one.identifier}"


def reference_list(left_out: set[str]) -> Markup:
    """List the references but for those left out, which keep their numbers."""
    item = Markup(
        '<li id="ref-{number}" value="{number}">{text} <a href="{url}">{site} {identifier}</a></li>'
    )
    items = [
        item.format(number=_NUMBERS[key], url=_SITES[one.site] + one.identifier, **one._asdict())
        for key, one in REFERENCES.items()
        if key not in left_out
    ]
    return Markup('<ol class="references quiet">\n{}\n</ol>').format(Markup("\n").join(items))
