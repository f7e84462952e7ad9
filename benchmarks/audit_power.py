"""Errors and power of the audit, and the margins from which it states the smallest detectable.

Simulated rows: correlated features h of 8 factors; independent latents d, of which one copies a
part of one feature or of a product of two, or several copy a part of one factor each.
`python benchmarks/audit_power.py` prints the tables and writes them into docs/benchmarks.md; the
medians of the last table are `MARGINS` of `nonredundant/metrics/nulls.py`.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from reporting import write_section

from nonredundant.evaluation.compare import SMALL_AUDIT
from nonredundant.metrics import (
    DEFAULT_METHODS,
    METHODS,
    N_REFITS,
    redundancy_report,
    redundancy_score,
)
from nonredundant.metrics.nulls import MARGINS, compare_with_null
from nonredundant.statistics import holm

#: Columns of h and d.
DESIGNS = ((107, 16), (14, 16))
STRENGTHS = (0.15, 0.25, 0.4, 0.55, 0.7, 0.9)
REFITTED = ("r2-forest", "r2-mlp", "discriminator-auc", "discriminator-nats")
EXACT = (
    "r2-ridge",
    "ksg",
    "dcor",
    "hsic",
    "largest-pair",
    "largest-product",
    "r2-of-latents",
    "share-of-latents",
)
KINDS = ("one", "many", "product")


def draw(n: int, design: tuple[int, int], strength: float, kind: str, seed: int) -> tuple:
    """Draw h and d; `kind` says whether a feature, a product or factors are copied."""
    rng = np.random.default_rng([seed, n])
    factors = rng.normal(size=(n, 8))
    mixing = np.random.default_rng(99).normal(size=(8, design[0]))
    h = factors @ mixing + rng.normal(size=(n, design[0]))
    d = rng.normal(size=(n, design[1]))
    scaled = h[:, :2] / np.sqrt(1 + np.sum(mixing[:, :2] ** 2, axis=0))
    both = scaled.prod(axis=1, keepdims=True)
    sources = {"one": scaled[:, :1], "many": factors, "product": both / both.std()}
    source = sources[kind]
    size = min(source.shape[1], design[1])
    d[:, :size] = strength * source[:, :size] + np.sqrt(1 - strength**2) * d[:, :size]
    return h, d


def scores(method: str, n: int, design: tuple, strength: float, kind: str, trials: int) -> list:
    """Return the estimates of `trials` samples."""
    return [
        redundancy_score(*draw(n, design, strength, kind, seed), method, random_state=seed)
        for seed in range(trials)
    ]


def margin(method: str, n: int, design: tuple, kind: str, trials: int) -> tuple[float, float]:
    """Return the expected estimate with 80 % power in spreads above the null's 95 %, and itself."""
    null = np.array(scores(method, n, design, 0.0, kind, 2 * trials))
    rng, size = np.random.default_rng(0), N_REFITS if method in REFITTED else len(null)
    draws = [compare_with_null(0.0, rng.choice(null, size, replace=False)) for _ in range(100)]
    tops = np.array([one.top for one in draws])
    power, mean = [0.05], [float(null.mean())]
    for strength in STRENGTHS:
        found = np.array(scores(method, n, design, strength, kind, trials))
        power.append(float(np.mean(found[:, None] > tops)))
        mean.append(float(found.mean()))
        if power[-1] >= 0.8:
            expected = float(np.interp(0.8, power[-2:], mean[-2:]))
            return (expected - float(tops.mean())) / float(null.std(ddof=1)), expected
    return np.nan, np.nan


def margins(sizes: list[int], trials: int, refits: int) -> list[str]:
    """Tabulate the margins."""
    lines = ["| method | margins of the designs | median | used |", "| --- | --- | --- | --- |"]
    for method in MARGINS:
        count = refits if method in REFITTED else trials
        found = [
            margin(method, n, design, kind, count)[0]
            for n in sizes
            for design in DESIGNS
            for kind in KINDS
        ]
        known = [one for one in found if np.isfinite(one)]
        cells = ", ".join("–" if np.isnan(one) else f"{one:.1f}" for one in found)
        lines.append(f"| {method} | {cells} | {np.median(known):.1f} | {MARGINS[method]} |")
    return lines


def error_rates(trials: int) -> list[str]:
    """Tabulate how often independent rows have p of at most 0.05, singly and in groups."""
    groups = np.repeat(np.arange(40), 2)
    counts = {name: np.zeros(3) for name in EXACT}
    for seed in range(trials):
        h, d = draw(60, DESIGNS[0], 0.0, "one", seed)
        pair = [np.repeat(x[:40], 2, axis=0) for x in draw(60, DESIGNS[1], 0.0, "one", seed)]
        settings = {"methods": list(EXACT), "n_permutations": 99, "random_state": seed}
        reports = (
            redundancy_report(h, d, **settings),
            redundancy_report(*pair, **settings),
            redundancy_report(*pair, groups=groups, **settings),
        )
        for name in EXACT:
            counts[name] += [report.loc[name, "p_value"] <= 0.05 for report in reports]
    lines = [
        "| method | 60 rows | two equal rows per patient, permuted singly | with `groups` |",
        "| --- | --- | --- | --- |",
    ]
    return lines + [
        f"| {name} | {' | '.join(f'{share:.3f}' for share in counts[name] / trials)} |"
        for name in EXACT
    ]


def copied(seeds: int) -> list[str]:
    """Tabulate the median p of 100 rows in which one latent depends on one of 107 features."""
    kinds = {
        "copy": lambda x, noise: x,
        "square": lambda x, noise: x**2,
        "spread": lambda x, noise: noise * np.exp(1.5 * x),
    }
    lines = [f"| method | {' | '.join(kinds)} |", "| --- " * (1 + len(kinds)) + "|"]
    reports: dict[str, list] = {kind: [] for kind in kinds}
    for kind, change in kinds.items():
        for seed in range(seeds):
            h, d = draw(100, DESIGNS[0], 0.0, "one", seed)
            d[:, 4] = change((h[:, 13] - h[:, 13].mean()) / h[:, 13].std(), d[:, 4])
            found = redundancy_report(h, d, n_permutations=99, random_state=seed)
            reports[kind].append(found["p_value"])
    for name in DEFAULT_METHODS:
        medians = [np.median([p[name] for p in reports[kind]]) for kind in kinds]
        lines.append(f"| {name} | {' | '.join(f'{p:.2f}' for p in medians)} |")
    return lines


def seen(draws: int) -> list[str]:
    """Tabulate in how many audits, as a comparison makes them, something is seen after Holm."""
    methods = [name for name in SMALL_AUDIT if name != "share-of-latents"]
    kinds = {
        "one of 16 latents is the sum of all": lambda h: h.sum(axis=1),
        "… the sign of the product of two": lambda h: np.sign(h[:, 0] * h[:, 1]),
        "… one where another is in its upper tenth": lambda h: np.where(h[:, 0] > 1.28, h[:, 1], 0),
        "nothing": None,
    }
    lines = ["| latent | rows | columns | seen |", "| --- | --- | --- | --- |"]
    for (kind, function), n, width in product(kinds.items(), (120, 300), (20, 107)):
        found = []
        for seed in range(draws):
            rng = np.random.default_rng([seed, n])
            h, d = rng.normal(size=(n, width)), rng.normal(size=(n, 16))
            if function is not None:
                shared = function(h)
                d[:, 0] = np.where(shared == 0, d[:, 0], shared)
            report = redundancy_report(h, d, methods=methods, random_state=seed)
            found.append(holm(report["p_value"].to_numpy()).min() <= 0.05)
        lines.append(f"| {kind} | {n} | {width} | {np.mean(found):.2f} |")
    return lines


def main() -> None:
    """Simulate and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 150])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--refits", type=int, default=30)
    parser.add_argument("--nulls", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--draws", type=int, default=40)
    options = parser.parse_args()
    assert set(MARGINS) <= set(METHODS)
    lines = [
        f"One latent of 16 that depends on one of 107 features, 100 rows, {options.seeds} seeds: "
        "median p.",
        "",
        *copied(options.seeds),
        "",
        f"Share of {options.draws} audits in which one of the methods that a comparison runs on "
        "any number of rows has p of at most 0.05 after Holm; independent columns.",
        "",
        *seen(options.draws),
        "",
        f"Share of {options.nulls} independent samples with p of at most 0.05; patients: 40, "
        "14 features.",
        "",
        *error_rates(options.nulls),
        "",
        "The expected estimate that is significant in 80 % of samples, in standard deviations of "
        f"the null above its 95 % point. Designs: n of {options.sizes}, 107 and 14 features, one "
        "feature copied by one latent, eight factors by eight, or a product of two by one; –: no "
        "such strength.",
        "",
        *margins(options.sizes, options.trials, options.refits),
    ]
    write_section("audit_power.py", "The audit: errors and power", "\n".join(lines))


if __name__ == "__main__":
    main()
