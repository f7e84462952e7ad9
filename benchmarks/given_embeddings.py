"""Given embeddings: time and memory of a comparison, and LUNG1 with the embedding of FMCIB.

The tables of the second part are read from the folder `nsclc` below `$NONREDUNDANT_DATA`; without
it only the first part is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from reporting import write_section

from nonredundant import LesionTable, compare_feature_sets

#: Lesions, columns of the embedding and hand-crafted columns of the first part.
N, P, N_HCR = 421, 4096, 107
SETS = ["HCR", "FMCIB", "FMCIB-MI", "HCR+FMCIB", "HCR+FMCIB-MI"]


def markdown_table(heads: list[str], rows: list[tuple[str, ...]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def simulated() -> tuple[LesionTable, np.ndarray]:
    """Return lesions whose embedding repeats hand-crafted features, and knows a hidden factor."""
    rng = np.random.default_rng(0)
    factors, hidden = rng.normal(size=(N, 8)), rng.normal(size=(N, 4))
    known = factors @ rng.normal(size=(8, N_HCR)) + 0.5 * rng.normal(size=(N, N_HCR))
    values = np.hstack([factors, hidden]) @ rng.normal(size=(12, P)) + 3 * rng.normal(size=(N, P))
    ids = [f"p{i}" for i in range(N)]
    features = pd.DataFrame(known, index=ids).add_prefix("original_")
    frame = pd.DataFrame(values.astype(np.float32), index=ids)
    y = (factors[:, 0] + hidden[:, 0] + rng.normal(size=N) > 0).astype(int)
    return LesionTable(features, embeddings={"FMCIB": frame}), y


def used_by(pid: int) -> dict[int, tuple[float, float]]:
    """Return resident memory in MiB and processor seconds of a process and its descendants."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        times = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [c for task in tasks for c in (task / "children").read_text().split()]
    except OSError:
        return {}
    memory = int(status.split("VmRSS:")[1].split()[0]) / 1024 if "VmRSS:" in status else 0.0
    seconds = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    found = {pid: (memory, seconds)}
    for child in children:
        found |= used_by(int(child))
    return found


def measure() -> None:
    """Compare once and print wall and processor seconds, and the peak memory of all processes."""
    table, y = simulated()
    peaks, seconds, done = [0.0], {}, threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            now = used_by(os.getpid())
            peaks.append(sum(memory for memory, _ in now.values()))
            seconds.update({pid: used for pid, (_, used) in now.items()})

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare_feature_sets(table, y, classifiers="LR", n_jobs=2, random_state=0)
    wall = time.perf_counter() - start
    done.set()
    watcher.join()
    folds = found.settings.n_folds
    print(
        wall, sum(seconds.values()), max(peaks), folds, len(found.settings.feature_sets), sep="\t"
    )


def lung1(folder: Path) -> tuple[str, str, str]:
    """Compare survival of two years by radiomics, FMCIB and both, on the 206 patients of LUNG1."""
    rows = pd.read_csv(folder / "hosny_Maastro.csv.gz").set_index("patient_id")
    with np.load(folder / "lung1_fmcib.npz") as file:
        given = pd.DataFrame(file["embedding"], index=file["patient_id"])
    rows = rows.loc[rows.index.isin(given.index)]
    y = rows.pop("surv2yr")
    # Of the original image the study has its shape; all 1,004 columns would take long to fit.
    hcr = rows[[name for name in rows if name.startswith("original_")]]
    table = LesionTable(hcr, embeddings={"FMCIB": given.loc[hcr.index]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare_feature_sets(
            table,
            y,
            feature_sets=SETS,
            classifiers="LR",
            n_repeats=2,
            baselines=False,
            controls=False,
            audit=["dcor", "share-of-latents"],
            random_state=0,
        )
    print(found.answer(), file=sys.stderr)
    tests = found.tests[found.tests["reference"] == "HCR"].set_index("feature_set")
    audit = found.redundancy.set_index(["feature_set", "method"])
    lines = []
    for row in found.summary.itertuples():
        block = row.feature_set.removeprefix("HCR+")
        dcor = "–" if block == "HCR" else f"{audit.loc[(block, 'dcor'), 'estimate']:.2f}"
        null = "–" if block == "HCR" else f"{audit.loc[(block, 'dcor'), 'null_95']:.2f}"
        gain = "–"
        if row.feature_set in tests.index:
            own = tests.loc[row.feature_set]
            gain = f"{own['estimate']:+.3f} ({own['low']:+.3f} to {own['high']:+.3f})"
        score = f"{row.mean:.3f} ({row.low:.3f} to {row.high:.3f})"
        lines.append((row.feature_set, score, gain, dcor, null))
    heads = ["features", "AUC (95 %)", "gain over HCR (95 %)", "dCor with HCR", "95 % of its null"]
    share = found.embeddings.iloc[0]
    about = (
        f"LUNG1, {len(y)} patients, survival of two years, {hcr.shape[1]} hand-crafted features of "
        "the shape (Hosny et al. 2018) and the embedding of FMCIB, 5 folds, twice. The "
        f"hand-crafted features explain {100 * share['share_explained']:.0f} % of the variance of "
        f"FMCIB's {share['n_components']:.0f} components ({100 * share['lowest']:.0f} to "
        f"{100 * share['highest']:.0f} % in the folds), which have "
        f"{100 * share['share_of_variance']:.0f} % of that of its columns."
    )
    informed = found.added_information
    values = informed[informed["feature_set"] == "HCR+FMCIB-MI"].set_index("method")["p_value"]
    tested = ", ".join(f"{name} {p:.3f}" for name, p in values.items())
    after = f"Tests of added information of HCR+FMCIB-MI beyond HCR: p = {tested}."
    return about, markdown_table(heads, lines), after


def main() -> None:
    """Measure both parts and write the section."""
    run = subprocess.run(
        [sys.executable, __file__, "measure"], capture_output=True, text=True, check=True
    )
    wall, cpu, peak, folds, n_sets = map(float, run.stdout.strip().split("\t"))
    load = os.getloadavg()[0]
    lines = [
        f"A comparison of {N} lesions with {N_HCR} hand-crafted features and an embedding of "
        f"{P:,} columns, simulated, all defaults but logistic regression alone and `n_jobs=2`: "
        f"{n_sets:.0f} sets, {folds:.0f} folds, audit and controls. Memory is the sum of the "
        "resident memory of all processes, imports included. Where other programs were running, "
        "half of the processor seconds is the time on two free cores. Load average at the end: "
        f"{load:.1f}.",
        markdown_table(
            ["", "measured", "required"],
            [
                ("seconds", f"{wall:.0f}", "< 180"),
                ("processor seconds", f"{cpu:.0f}", "< 360"),
                ("peak memory (MiB)", f"{peak:.0f}", "< 2,048"),
            ],
        ),
    ]
    folder = Path(os.environ.get("NONREDUNDANT_DATA", "")) / "nsclc"
    if folder.is_dir():
        lines += lung1(folder)
    write_section("given_embeddings.py", "Given embeddings", "\n\n".join(lines))


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
