# %% [markdown]
"""
How many latents, and how strong a penalty?
===========================================

The whole chain, from images to a prediction, is one scikit-learn pipeline. A grid search
therefore tunes all of it at once and without leakage: in each fold the network is trained on the
training patients only. Two caches keep it short: `memory=` of the extractor measures each patient
once, and `memory=` of the pipeline trains each network once for all classifiers.
"""

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import SimpleITK as sitk
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions

# %% [markdown]
# A cohort of phantoms in files, as yours is. Paths are relative to `root`.

# %%
folder = Path(tempfile.mkdtemp())
phantoms, y, _truth = make_lesions(120, random_state=0)
cases = pd.DataFrame(index=phantoms.index)
for role in ("image", "mask"):
    cases[role] = [f"{name}_{role}.nii" for name in cases.index]
    for array, spacing, path in zip(phantoms[role], phantoms["spacing"], cases[role], strict=True):
        volume = sitk.GetImageFromArray(array)
        volume.SetSpacing(spacing)
        sitk.WriteImage(volume, folder / path)
cases.head(2)

# %%
extractor = RadiomicsExtractor(
    "PET", patch_shape=(16, 16, 16), root=folder, memory=folder / "cache"
)
pipeline = Pipeline(
    [
        ("extract", extractor),
        ("cvae", NonRedundantCVAE(max_epochs=15, random_state=0)),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=2000)),
    ],
    memory=str(folder / "steps"),
)
grid = {"cvae__dlr_size": [2, 4, 8], "classify__C": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=3).fit(cases, y)
print(f"best: {search.best_params_}, AUC {search.best_score_:.3f}")

# %% [markdown]
# The mean over the folds, in each cell its standard deviation. Neighbours of the best cell are
# hardly worse: on 120 patients the choice within that region is chance, and the score of the best
# cell is too good by a little. An outer loop (`cross_val_score(search, …)`) gives an honest one.

# %%
results = pd.DataFrame(search.cv_results_)
rows, columns = "param_cvae__dlr_size", "param_classify__C"
mean = results.pivot(index=rows, columns=columns, values="mean_test_score")
spread = results.pivot(index=rows, columns=columns, values="std_test_score")
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
image = ax.imshow(mean, cmap="viridis", aspect="auto")
for i in range(mean.shape[0]):
    for j in range(mean.shape[1]):
        light = mean.iloc[i, j] < mean.to_numpy().mean()
        text = f"{mean.iloc[i, j]:.3f}\n± {spread.iloc[i, j]:.3f}"
        ax.text(j, i, text, ha="center", va="center", color="white" if light else "black")
ax.set_xticks(range(mean.shape[1]), mean.columns)
ax.set_yticks(range(mean.shape[0]), mean.index)
ax.set(xlabel="C of the logistic regression", ylabel="number of latents")
figure.colorbar(image, label="AUC")
plt.show()

# %% [markdown]
# The best pipeline is saved without pickle. skops loads types that the reader names as trusted,
# and the loaded pipeline predicts the same.

# %%
path = folder / "pipeline.skops"
skops.io.dump(search.best_estimator_, path)
trusted = skops.io.get_untrusted_types(file=path)
print(trusted)
loaded = skops.io.load(path, trusted=trusted)
print(
    loaded.predict_proba(cases[:5])[:, 1].round(3), search.predict_proba(cases[:5])[:, 1].round(3)
)
