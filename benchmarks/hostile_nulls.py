"""Level and power of the tests of added information where d and y both depend on h.

An outcome and eight latents share a function of h and nothing else: a test that claims information
of d then claims what h knew. Covariates are those of radiomics tables (`tables` below
`$NONREDUNDANT_DATA`, a cohort per draw), of the sarcomas (`sts`) and simulated. Cells with an
effect draw an outcome that also depends on a latent of its own.
`python benchmarks/hostile_nulls.py --draws 200` prints the table and writes it into
docs/benchmarks.md; `--only "tables 120"` restricts it to the cells whose names contain the words.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from reporting import write_section

from nonredundant.statistics.added_information import (
    added_information_of_residuals,
    double_residual,
    out_of_fold_residuals,
    similarity_corrected,
)
from nonredundant.statistics.outcome_residuals import centred_outcome
from nonredundant.statistics.stacked_regression import normal_scores

N_D, EFFECT, N_FEATURES, N_FACTORS = 8, 0.8, 107, 8
#: Tables with more columns take minutes per draw.
MOST_COLUMNS = 300
#: Weight of the shared function in the log-odds of the outcome, and in the first latent.
IN_OUTCOME, IN_LATENT = 1.5, 0.8
TITLE = "Added information where d and y depend on h"
METHODS = ("permutation", "double-residual", "similarity", "all three")

Shared = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
#: Functions of normal scores x, of their principal components z and of random weights.
FUNCTIONS: dict[str, Shared] = {
    "eight components": lambda x, z, rng: z[:, :8] @ rng.normal(size=8),
    "random sum": lambda x, z, rng: x @ rng.normal(size=x.shape[1]),
    "one feature": lambda x, z, rng: x[:, rng.integers(x.shape[1])],
    "tenth component": lambda x, z, rng: z[:, 9],
    "square": lambda x, z, rng: z[:, 0] ** 2,
    "product": lambda x, z, rng: z[:, 0] * z[:, 1],
    "step": lambda x, z, rng: np.sign(z[:, 0]),
    "product of three signs": lambda x, z, rng: np.sign(z[:, 0] * z[:, 1] * z[:, 2]),
    "nothing": lambda x, z, rng: np.zeros(len(x)),
}


@dataclass(frozen=True)
class Cell:
    """What is drawn.

    Parameters
    ----------
    covariates : {"tables", "sts", "factors", "independent", "discrete"}
        Where h is from.
    n : int
        Number of rows.
    shared : str
        Name in `FUNCTIONS`.
    design : str, default="two classes"
        Outcome and structure of the rows, or the noise of d.
    effect : float, default=0.0
        Log-odds per standard deviation of a latent that h does not know.
    """

    covariates: str
    n: int
    shared: str
    design: str = "two classes"
    effect: float = 0.0

    @property
    def name(self) -> str:
        """Name in the table and for `--only`."""
        power = "power" if self.effect else "level"
        return f"{self.covariates} {self.n}, {self.shared}, {self.design}, {power}"


def all_cells() -> list[Cell]:
    """Return every cell of the table."""
    sizes = {"tables": (60, 120, 250), "sts": (51,), "factors": (120,), "independent": (120,)}
    cells = [
        Cell(covariates, n, shared)
        for covariates, numbers in sizes.items()
        for n in numbers
        for shared in FUNCTIONS
    ]
    cells += [Cell("discrete", 120, shared) for shared in ("one feature", "random sum", "square")]
    designs = (
        "heteroscedastic",
        "heavy tails",
        "groups",
        "centres",
        "prevalence 10 %",
        "three classes",
        "times",
    )
    cells += [
        Cell("tables", 120, shared, design)
        for design in designs
        for shared in ("eight components", "square")
    ]
    cells += [
        Cell("tables", n, shared, effect=EFFECT)
        for n in (60, 120, 250)
        for shared in ("eight components", "random sum", "nothing")
    ]
    return cells


@cache
def tables() -> list[np.ndarray]:
    """Read the radiomics tables without their outcomes; gaps get the median."""
    folder = Path(os.environ["NONREDUNDANT_DATA"]) / "tables"
    frames = [pd.read_csv(path).iloc[:, :-1] for path in sorted(folder.glob("*.csv.gz"))]
    small = [frame for frame in frames if frame.shape[1] <= MOST_COLUMNS]
    numbers = [frame.apply(pd.to_numeric, errors="coerce") for frame in small]
    return [frame.fillna(frame.median()).fillna(0.0).to_numpy(dtype=float) for frame in numbers]


@cache
def sarcomas() -> np.ndarray:
    """Extract the features of the sarcomas."""
    from nonredundant import RadiomicsExtractor
    from nonredundant.datasets import fetch_sts

    cases, _ = fetch_sts()
    extractor = RadiomicsExtractor(modality="PET", patch_shape=None)
    return np.asarray(extractor.fit(cases).transform(cases))


def draw_covariates(cell: Cell, seed: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rows of h."""
    if cell.covariates == "tables":
        large = [table for table in tables() if len(table) >= min(cell.n, 240)]
        table = large[seed % len(large)]
        return table[rng.permutation(len(table))[: cell.n]]
    if cell.covariates == "sts":
        return sarcomas()[rng.permutation(cell.n)]
    h = rng.normal(size=(cell.n, N_FEATURES))
    if cell.covariates == "factors":
        mixing = np.random.default_rng(99).normal(size=(N_FACTORS, N_FEATURES))
        h += rng.normal(size=(cell.n, N_FACTORS)) @ mixing
    return np.clip(np.round(h), -1, 1) if cell.covariates == "discrete" else h


def draw(cell: Cell, seed: int) -> dict:
    """Draw h, d, the outcome, groups and centres."""
    rng = np.random.default_rng([seed, cell.n])
    h = draw_covariates(cell, seed, rng)
    groups = np.arange(len(h)) // 2 if cell.design == "groups" else None
    if groups is not None:
        # Two lesions of a patient: alike, not equal.
        h = h[groups] + 0.1 * h.std(axis=0) * rng.normal(size=h.shape)
    x = normal_scores(h)
    z = np.linalg.svd(x, full_matrices=False)[0] * np.sqrt(len(x))
    shared = FUNCTIONS[cell.shared](x, z, rng)
    if groups is not None:
        shared = shared[2 * groups]
    shared = (shared - shared.mean()) / max(shared.std(), 1e-12)
    heavy = cell.design == "heavy tails"
    d = rng.standard_t(2, size=(len(h), N_D)) if heavy else rng.normal(size=(len(h), N_D))
    d = d if groups is None else 0.7 * (d + d[2 * groups])
    if cell.shared != "nothing":
        spread = np.exp(0.7 * z[:, 0]) if cell.design == "heteroscedastic" else 1.0
        d[:, 0] = IN_LATENT * shared + np.sqrt(1 - IN_LATENT**2) * spread * d[:, 0]
    log_odds = IN_OUTCOME * shared + cell.effect * d[:, 1]
    centres = rng.integers(3, size=len(h)) if cell.design == "centres" else None
    if centres is not None:
        d[:, 2] += centres
        log_odds = log_odds + centres - 1
    outcome = draw_outcome(cell.design, log_odds, rng)
    outcome = outcome if groups is None else outcome[2 * groups]
    return {"h": h, "d": d, "y": outcome, "groups": groups, "centres": centres}


def draw_outcome(design: str, log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw classes or times."""
    if design == "times":
        time_to_event = rng.exponential(np.exp(-log_odds))
        censored = rng.exponential(2.0, size=len(log_odds))
        pairs = zip(time_to_event <= censored, np.minimum(time_to_event, censored), strict=True)
        return np.array(list(pairs), dtype=[("event", bool), ("time", float)])
    score = log_odds + rng.logistic(size=len(log_odds))
    if design == "three classes":
        return np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    return (score > np.quantile(score, 0.9 if design == "prevalence 10 %" else 0.5)).astype(int)


def p_values(cell: Cell, seed: int, n_permutations: int) -> list[float]:
    """Return the p-value of each method, and the one of a claim, which needs all of them."""
    drawn = draw(cell, seed)
    h, d, groups, centres = (drawn[name] for name in ("h", "d", "groups", "centres"))
    left = out_of_fold_residuals(h, drawn["y"], groups=groups, random_state=seed)
    settings = {"groups": groups, "centres": centres, "random_state": seed}
    settings["n_permutations"] = n_permutations
    found = [
        added_information_of_residuals(left, d, **settings).p_value,
        double_residual(left, h, d, **settings).p_value,
        similarity_corrected(centred_outcome(drawn["y"]), h, d, **settings).p_value,
    ]
    return [*found, max(found)]


def measure(cell: Cell, draws: int, n_permutations: int) -> list[str]:
    """Return a row of the table: the share of p of at most 0.05 with its Monte Carlo error."""
    found = np.array([p_values(cell, seed, n_permutations) for seed in range(draws)])
    row = [cell.name, str(draws)]
    for p in found.T:
        share = np.mean(p[np.isfinite(p)] <= 0.05)
        row.append(f"{share:.3f} ± {np.sqrt(share * (1 - share) / np.isfinite(p).sum()):.3f}")
    return row


def main() -> None:
    """Measure the cells and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--permutations", type=int, default=199)
    parser.add_argument("--only", nargs="*", default=[], help="Words in the names of cells.")
    options = parser.parse_args()
    chosen = [
        cell
        for cell in all_cells()
        if not options.only or any(words in cell.name for words in options.only)
    ]
    if not chosen:
        parser.error(f"no cell has these words in its name: {[c.name for c in all_cells()]}")
    start, rows = time.process_time(), []
    for cell in chosen:
        rows.append(measure(cell, options.draws, options.permutations))
        print(rows[-1], flush=True)
        # After each cell, as all of them take hours.
        seconds = (time.process_time() - start) / (len(rows) * options.draws)
        write_section("hostile_nulls.py", TITLE, section(rows, options, seconds))


def section(rows: list[list[str]], options: argparse.Namespace, seconds: float) -> str:
    """Return the text of the section."""
    lines = [
        f"Share of p of at most 0.05 ± its Monte Carlo error; {options.draws} draws per cell, "
        f"{options.permutations} permutations, {len(rows)} of {len(all_cells())} cells, "
        f"{seconds:.1f} CPU seconds per draw. In cells of level the outcome and the first of "
        f"{N_D} latents share the named function of h and nothing else; in cells of power another "
        f"latent has an effect of log-odds {EFFECT} per standard deviation. Few draws tell little: "
        f"at a level of 0.05 the share of {options.draws} draws has a standard deviation of "
        f"{np.sqrt(0.05 * 0.95 / options.draws):.3f}. A claim needs all three tests.",
        "",
        f"| cell | draws | {' | '.join(METHODS)} |",
        "| --- " * (2 + len(METHODS)) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
