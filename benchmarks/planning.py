"""Power of studies of several sizes, as `plan_study` simulates them.

`python benchmarks/planning.py` writes the tables of docs/benchmarks.md that the guide on small
cohorts quotes.
"""

from __future__ import annotations

import argparse

from reporting import write_section

from nonredundant import plan_study

#: AUC that the known features have with exact coefficients, and the gain in it.
ASSUMED = ((0.7, 0.1), (0.7, 0.05))


def main() -> None:
    """Simulate and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 120, 250, 500])
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    lines = [
        f"{options.studies} simulated studies of each size, two classes of equal size, 20 known "
        "and 16 learned columns. `auc_known` and `auc_fused` are what models learn from so many "
        "patients. `patients`: by interpolation for a power of 0.8; of the development by Riley "
        "et al. 2020."
    ]
    for auc, gain in ASSUMED:
        plan = plan_study(
            auc,
            gain,
            n=options.sizes,
            n_studies=options.studies,
            n_jobs=options.jobs,
            random_state=0,
        )
        patients = ", ".join(f"{kind} {number:.0f}" for kind, number in plan.patients.items())
        lines += [
            "",
            f"AUC {auc}, gain {gain}; patients: {patients}; development "
            f"{plan.development['patients']}.",
            "",
            plan.table.to_markdown(index=False, floatfmt=".3g"),
        ]
    write_section("planning.py", "Patients that show a gain", "\n".join(lines))


if __name__ == "__main__":
    main()
