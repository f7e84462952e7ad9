"""Centres that go with the outcome, harmonised in the fold and otherwise; three cohorts left out.

The first part draws tables: radiomics and an embedding of patients of three centres that shift and
scale both, and that differ in how ill their patients are. The embedding knows the centre, and
nothing else of the outcome: a gain of it is a false one. The second part leaves out each of the
three cohorts of `fetch_hosny`, whose tables are read from the folder `nsclc` below
`$NONREDUNDANT_DATA`. `python benchmarks/centres.py --draws 40` writes docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression

from nonredundant import Harmonise, LesionTable, compare_feature_sets
from nonredundant.datasets import fetch_hosny
from nonredundant.datasets.nsclc import HOSNY_COHORTS
from nonredundant.statistics.combat import centre_effects, without_effects

#: Patients, radiomics and columns of the embedding of a draw.
N, P, Q = 80, 8, 32
#: Share of the patients that are in a centre of their outcome.
CONFOUNDING = 0.95
SETS = ("HCR", "HCR+CNN")
CLAIMS = ("gain", "information")


def draw(seed: int) -> tuple[LesionTable, np.ndarray]:
    """Draw patients whose outcome goes with the centre, and whose embedding knows the centre."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(N, P))
    y = (true[:, 0] + rng.logistic(size=N) > 0).astype(int)
    # Centre 0 has mostly patients of class 0, centre 2 of class 1.
    anywhere = rng.random(N) >= CONFOUNDING
    centre = np.where(anywhere, rng.integers(0, 3, N), y + rng.integers(0, 2, N))
    values = np.hstack([true, rng.normal(size=(N, Q))])
    shift, scale = rng.normal(size=(3, P + Q)), np.exp(0.3 * rng.normal(size=(3, P + Q)))
    values = values * scale[centre] + shift[centre]
    return table_of(values, centre), y


def table_of(values: np.ndarray, centre: np.ndarray) -> LesionTable:
    """Return the radiomics with their embedding and centres."""
    index = [f"P{i}" for i in range(len(values))]
    hcr = pd.DataFrame(values[:, :P], index=index).add_prefix("original_")
    return LesionTable(
        hcr,
        embeddings={"CNN": pd.DataFrame(values[:, P:], index=index)},
        samples=pd.DataFrame({"centre": centre}, index=index),
    )


def naive(table: LesionTable, y: np.ndarray) -> LesionTable:
    """Harmonise all patients at once, before the folds, and keep what goes with the outcome."""
    values = table.features.to_numpy()
    centre = table.samples["centre"].to_numpy()
    covariates = y[:, None].astype(float)
    effects = centre_effects(values, centre, covariates)
    return table_of(without_effects(values, centre, covariates, effects), centre)


def claims(draws: int) -> tuple[pd.DataFrame, float]:
    """Count the draws in which each way claims that the embedding adds to the radiomics."""
    rows = []
    start = time.process_time()
    for seed in range(draws):
        table, y = draw(seed)
        inside = {"steps": [Harmonise()], "centre": "centre"}
        ways = {
            "not harmonised": (table, {}),
            "ComBat on all patients before the folds, outcome as covariate": (
                naive(table, y),
                {},
            ),
            "`Harmonise` of the radiomics alone in the fold": (
                table,
                {"steps": [Harmonise(blocks=["hcr"])]},
            ),
            "`Harmonise` of both in the fold, `centre=`": (table, inside),
        }
        for way, (own, settings) in ways.items():
            found = compare(own, y, random_state=seed, **settings)
            tests = found.tests.iloc[0]
            rows.append(
                {
                    "way": way,
                    "claims": found.findings()["helps"].verdict in CLAIMS,
                    "p": tests["p_value"] < 0.05 and tests["estimate"] > 0,
                    "hcr": found.summary["mean"].iloc[0],
                    "gain": tests["estimate"],
                }
            )
        told = [f"{row['way']}: {row['claims']:d}" for row in rows[-len(ways) :]]
        print(f"draw {seed}, claims: {'; '.join(told)}", file=sys.stderr, flush=True)
    frame = pd.DataFrame(rows).groupby("way", sort=False)
    summed, averaged = frame[["claims", "p"]].sum(), frame[["hcr", "gain"]].mean()
    found = summed.join(averaged)
    return found, time.process_time() - start


def compare(table: LesionTable, y: np.ndarray, **settings: object) -> object:
    """Compare radiomics with and without the embedding."""
    defaults = {
        "feature_sets": SETS,
        "classifiers": {"LR": LogisticRegression(C=0.1)},
        "baselines": False,
        "audit": False,
        "controls": False,
        "n_repeats": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare_feature_sets(table, y, **{**defaults, **settings})


def cohorts() -> tuple[LesionTable, pd.Series]:
    """Return the three cohorts of lung cancer as one table, with their names as centres."""
    parts = {name: fetch_hosny(name) for name in HOSNY_COHORTS}
    data = pd.concat({name: part.data for name, part in parts.items()}, join="inner")
    data = data[[name for name in data if name.startswith("original_")]]
    # One patient has no id.
    index = [f"{name} {number}" for number, name in enumerate(data.index.get_level_values(0))]
    y = pd.concat([part.target for part in parts.values()]).set_axis(index)
    cnn = pd.concat([part.cnn for part in parts.values()]).set_axis(index)
    centre = pd.DataFrame({"centre": data.index.get_level_values(0)}, index=index)
    return LesionTable(data.set_axis(index), embeddings={"CNN": cnn}, samples=centre), y


def left_out() -> tuple[str, list[tuple[str, ...]]]:
    """Leave out each cohort, with and without harmonisation."""
    table, y = cohorts()
    rows, told = [], []
    for way, steps in (
        ("not harmonised", []),
        ('`Harmonise(unseen="reference")`', [Harmonise(unseen="reference")]),
    ):
        found = compare(
            table, y, classifiers="LR", cv="centre", centre="centre", steps=steps, random_state=0
        )
        places = found.by_centre.set_index(["feature_set", "centre"])
        means = found.summary.set_index("feature_set")
        gain = found.tests.set_index("feature_set").loc["HCR+CNN"]
        for one in SETS:
            cells = [
                f"{row['score']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
                for row in (places.loc[(one, name)] for name in HOSNY_COHORTS)
            ]
            mean = means.loc[one]
            difference = "–"
            if one != "HCR":
                numbers = gain["estimate"], gain["low"], gain["high"]
                difference = "{:+.3f} ({:+.3f} to {:+.3f})".format(*numbers)
            text = f"{mean['mean']:.3f} ({mean['low']:.3f} to {mean['high']:.3f})"
            rows.append((way, one, *cells, text, difference))
        for row in found.heterogeneity.itertuples():
            if row.what == "score" and row.feature_set == "HCR":
                told.append(f"{way}: Q = {row.q:.2f}, p = {row.p_value:.3f}, I² = {row.i2:.2f}")
        coding = found.centre_coding
    n = {name: int((table.samples["centre"] == name).sum()) for name in HOSNY_COHORTS}
    sizes = ", ".join(f"{name} {count}" for name, count in n.items())
    coded = "; ".join(
        f"{row.features} {row.estimate:.2f} (chance {row.null_mean:.2f}, 95 % {row.null_95:.2f})"
        for row in coding.itertuples()
    )
    about = (
        f"Lung cancer, alive after two years, {len(y)} patients ({sizes}), "
        f"{table.hcr.shape[1]} hand-crafted features of the original image and the output of a 3-D "
        "network (Hosny et al. 2018). Each cohort is "
        f"predicted by logistic regression on the two others. Heterogeneity of HCR: "
        f"{'; '.join(told)}. Balanced accuracy of the cohort predicted out of fold: {coded}."
    )
    return about, rows


def markdown_table(heads: list[str], rows: list[tuple[str, ...]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure both parts and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    draws = parser.parse_args().draws
    found, seconds = claims(draws)
    rows = [
        (way, f"{row.claims:.0f} of {draws}", f"{row.p:.0f}", f"{row.hcr:.3f}", f"{row.gain:+.3f}")
        for way, row in found.iterrows()
    ]
    heads = ["", "claims", "draws with p < 0.05 of a gain", "AUC of HCR", "mean gain of AUC"]
    text = [
        f"{N} patients of three centres, {P} radiomics of which one predicts, an embedding of {Q} "
        f"columns of noise; shift (standard deviation 1) and scale (logarithm 0.3) of each centre "
        f"and column; {100 * CONFOUNDING:.0f} % of the patients are in a centre of their outcome. "
        "A claim is a gain, or added information, of an embedding that knows the centre alone. "
        f"Asked: at most 4 of 40 in the fold. {seconds:.0f} processor seconds.",
        markdown_table(heads, rows),
    ]
    if (Path(os.environ.get("NONREDUNDANT_DATA", "")) / "nsclc").is_dir():
        about, lines = left_out()
        heads = ["", "features", *HOSNY_COHORTS, "mean (t over centres)", "gain over HCR"]
        text += [about, markdown_table(heads, lines)]
    write_section("centres.py", "Centres", "\n\n".join(text))


if __name__ == "__main__":
    main()
