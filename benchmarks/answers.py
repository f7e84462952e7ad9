"""How often the answer claims a gain where there is none, and finds one where there is.

Phantoms of 150 patients, hand-crafted features and the fused set, a network of few epochs. Random
labels: no set predicts them. `hidden_effect` 0: the label follows what hand-crafted features
measure. Larger effects: it also follows a factor that only the image shows.
`python benchmarks/answers.py` prints a table and writes it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from reporting import write_section

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions

N_SAMPLES, SIDE, EPOCHS = 150, 16, 15


def verdicts(seed: int, effect: float | None) -> dict[str, str]:
    """Return the verdicts of one comparison; `effect` None draws random labels."""
    cases, y, _ = make_lesions(N_SAMPLES, hidden_effect=effect or 0.0, random_state=seed)
    extractor = RadiomicsExtractor(modality="PET", patch_shape=(SIDE,) * 3, n_jobs=2)
    table = extractor.fit(cases).transform(cases)
    if effect is None:
        y = np.random.default_rng(seed).permutation(y)
    found = compare_feature_sets(
        table,
        y,
        cvae=NonRedundantCVAE(max_epochs=EPOCHS),
        feature_sets=["HCR", "HCR+DLR-MI"],
        classifiers=["LR"],
        baselines=False,
        n_jobs=2,
        random_state=seed,
    )
    print(effect, seed, found.answer(), flush=True)
    row = found.added_information.iloc[0]
    test = found.tests.iloc[0]
    return {
        "verdict": found.findings()["helps"].verdict,
        "information": row["p_value"] < 0.05,
        "difference": test["estimate"],
    }


def run(n_draws: int, effects: list[float | None]) -> pd.DataFrame:
    """Count the verdicts of each setting."""
    rows = []
    for effect in effects:
        found = pd.DataFrame([verdicts(seed, effect) for seed in range(n_draws)])
        counts = found["verdict"].value_counts()
        rows.append(
            {
                "labels": "random" if effect is None else f"hidden effect {effect:g}",
                "draws": n_draws,
                **{name: int(counts.get(name, 0)) for name in ("gain", "information", "loss")},
                "added information, p < .05": int(found["information"].sum()),
                "mean difference of AUC": found["difference"].mean(),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--effects", nargs="*", default=["random", "0", "1.35", "2.7"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    effects = [None if effect == "random" else float(effect) for effect in options.effects]
    table = run(options.draws, effects).to_markdown(index=False, floatfmt=".3f")
    write_section("answers.py", "Claims of the answer", table)


if __name__ == "__main__":
    main()
