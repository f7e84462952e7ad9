"""Training through accelerate: one process gives the same result, several share each epoch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.utils.validation import InvalidParameterError

pytest.importorskip("accelerate", reason="the extra accelerate is not installed")


def table(n=24):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(n, 1, 8, 8))
    return LesionTable.from_arrays(
        features=rng.normal(size=(n, 3)), patches=patches, masks=rng.random(patches.shape) < 0.7
    )


def model(**options):
    return NonRedundantCVAE(
        2, max_epochs=3, batch_size=7, random_state=0, device="cpu", net_params=options
    )


def test_one_process_gives_the_same_model():
    expected = model(validation_fraction=0.25).fit(table())
    found = clone(model(validation_fraction=0.25, accelerate=True)).fit(table())
    np.testing.assert_array_equal(found.history_, expected.history_)
    np.testing.assert_array_equal(found.transform(table()), expected.transform(table()))


def test_a_model_is_saved(tmp_path):
    fitted = model(accelerate=True).fit(table())
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.transform(table()), fitted.transform(table()))


def test_options_that_have_no_meaning_are_named():
    with pytest.raises(InvalidParameterError, match=r"\['accelerate'\] must be True or False"):
        model(accelerate="yes").fit(table())
    with pytest.raises(InvalidParameterError, match="'warm_start' and 'accelerate'"):
        model(accelerate=True, warm_start=True).fit(table())


# Each lesion's voxels are its number, so that the augmentation sees which rows a step takes.
SCRIPT = """
import json, os, sys, warnings
import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import ContrastiveVAE, SepVAE

warnings.simplefilter("ignore")
rank, folder = os.environ["RANK"], sys.argv[1]
n = 42
rng = np.random.default_rng(0)
patches = np.broadcast_to(np.arange(1.0, n + 1)[:, None, None, None], (n, 1, 8, 8))
cohort = LesionTable.from_arrays(
    features=rng.normal(size=(n, 3)),
    patches=np.array(patches),
    masks=np.ones((n, 1, 8, 8), bool),
)
labels = np.arange(n) % 2
seen = []


def noticed(x, mask):
    seen.append(x[:, 0, 0, 0].tolist())
    return x, mask


def weight(model):
    return float(sum(one.detach().double().abs().sum() for one in model.net_.module_.parameters()))


settings = {"max_epochs": 3, "batch_size": 7, "random_state": 0, "device": "cpu"}
options = {"accelerate": True}
cvae = NonRedundantCVAE(2, augment=noticed, net_params=options, **settings).fit(cohort)
found = {"seen": seen, "weights": [weight(cvae)], "steps": len(seen)}
found["history"] = cvae.history_.to_numpy().tolist()
found["latents"] = np.asarray(cvae.transform(cohort)).tolist()
for kind in (SepVAE, ContrastiveVAE):
    found["weights"].append(weight(kind(2, 2, net_params=options, **settings).fit(cohort, labels)))
stop = EarlyStopping(monitor="valid_total", patience=1, threshold=10.0)
stopped = {"accelerate": True, "validation_fraction": 0.3, "callbacks": [stop]}
model = NonRedundantCVAE(2, net_params=stopped, **settings).fit(cohort)
found["epochs"] = len(model.history_)
try:
    NonRedundantCVAE(2, independence="density-ratio", net_params=options, **settings).fit(cohort)
except ValueError as error:
    found["refused"] = str(error)
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump(found, file)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_share_each_epoch_and_have_the_same_model(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*launch, script, tmp_path], check=True, timeout=300, capture_output=True)
    first, second = (json.loads(Path(tmp_path, f"{rank}.json").read_text()) for rank in (0, 1))
    for name in ("weights", "history", "latents"):
        np.testing.assert_array_equal(first[name], second[name])
    # 42 rows are six batches of seven: three steps of each process per epoch.
    assert first["steps"] == second["steps"] == 9
    for epoch in range(3):
        rows = [
            row
            for one in (first, second)
            for batch in one["seen"][3 * epoch : 3 * epoch + 3]
            for row in batch
        ]
        assert sorted(rows) == list(range(1, 43))
    assert first["epochs"] == second["epochs"] == 2
    for one in (first, second):
        assert "discriminator of its own" in one["refused"]
