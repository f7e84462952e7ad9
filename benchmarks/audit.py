"""Time the audit, and compare the density ratio with known mutual information."""

from __future__ import annotations

import argparse
import time

import numpy as np
from reporting import write_section

from nonredundant.independence import MIDiscriminator
from nonredundant.metrics import METHODS, redundancy_report

N, N_HCR, N_DLR = 500, 100, 16


def time_audit() -> tuple[float, dict[str, float]]:
    """Return the seconds of the default report and of each method alone."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(N, 8))
    h = factors @ rng.normal(size=(8, N_HCR)) + rng.normal(size=(N, N_HCR))
    d = 0.3 * factors @ rng.normal(size=(8, N_DLR)) + rng.normal(size=(N, N_DLR))
    redundancy_report(h[:60], d[:60], n_permutations=4, random_state=0)
    start = time.perf_counter()
    report = redundancy_report(h, d, random_state=0)
    whole = time.perf_counter() - start
    parts = {}
    for method in [*report.index, *(m for m in METHODS if m not in report.index)]:
        start = time.perf_counter()
        redundancy_report(h, d, methods=[method], random_state=0)
        parts[method] = time.perf_counter() - start
    return whole, {name: parts[name] for name in parts if name in report.index} | {
        f"{name} (on request)": parts[name] for name in parts if name not in report.index
    }


def gaussians(nats: float, seed: int, n: int = 10_000, size: int = 5) -> tuple[np.ndarray, ...]:
    """Return paired Gaussians with `nats` of information, equal in each of `size` column pairs."""
    rng = np.random.default_rng(seed)
    correlation = np.sqrt(1 - np.exp(-2 * nats / size))
    h = rng.normal(size=(n, size))
    d = correlation * h + np.sqrt(1 - correlation**2) * rng.normal(size=(n, size))
    mixing = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return h, d @ mixing


def information(nats: float, seed: int) -> float:
    """Fit the discriminator on one half of the rows and return its estimate on the other."""
    h, d = gaussians(nats, seed)
    half = len(h) // 2
    model = MIDiscriminator(random_state=seed).fit(h[:half], d[:half])
    return model.score(h[half:], d[half:])


def main() -> None:
    """Measure both and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    whole, parts = time_audit()
    lines = [
        f"`redundancy_report` of {N} rows, {N_HCR} + {N_DLR} columns, defaults: {whole:.1f} s "
        "(required: at most 20 s). Each method alone:",
        "",
        "| method | seconds |",
        "| --- | --- |",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in parts.items()),
        "",
        "`MIDiscriminator().fit(H, D).score(H_test, D_test)` on Gaussians of 5 + 5 columns, 5,000 "
        f"rows for training and 5,000 for the score, {options.seeds} seeds:",
        "",
        "| true nats | estimate: mean | minimum | maximum | required |",
        "| --- | --- | --- | --- | --- |",
    ]
    for nats in (0.0, 0.1, 0.5, 1.0, 2.0):
        found = [information(nats, seed) for seed in range(options.seeds)]
        margin = max(0.15 * nats, 0.03)
        required = f"{nats - margin:.3f}–{nats + margin:.3f}" if nats else "below 0.02"
        lines.append(
            f"| {nats} | {np.mean(found):.3f} | {min(found):.3f} | {max(found):.3f} | {required} |"
        )
    write_section("audit.py", "The audit: time and accuracy", "\n".join(lines))


if __name__ == "__main__":
    main()
