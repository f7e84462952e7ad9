# %% [markdown]
"""
Does my model hold elsewhere?
=============================

A model is fitted on one cohort and applied to another one as it is. `validate_model` asks whether
it tells the classes apart there, whether its probabilities are right, whether acting on them is
worth it, and whether its learned features still help; each answer has an interval.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.evaluation import FeatureSetClassifier, validate_model

# %% [markdown]
# 120 lesions to fit the model, and 140 of other patients. `reference=True` also fits the model
# without its learned features; `cv=3` keeps the models of three folds.

# %%
cases, y, _truth = make_lesions(260, random_state=0)
extractor = RadiomicsExtractor(
    "PET", feature_classes=["firstorder", "shape"], patch_shape=(16, 16, 16)
)
model = FeatureSetClassifier(
    "HCR+DLR-MI",
    extractor=extractor,
    cvae=NonRedundantCVAE(8, max_epochs=20),
    reference=True,
    cv=3,
    random_state=0,
)
model.fit(cases[:120], y[:120])
model.performance().round(2)

# %% [markdown]
# The other patients from the same scanner.

# %%
same = validate_model(model, cases[120:], y[120:])
print(same.answer())

# %% [markdown]
# The same patients from a scanner that reads 40 % more uptake. The ranks of the lesions hardly
# change, so the AUC stays; but the probabilities are far too high, and the conformal sets, which
# promise to hold the class of nine cases in ten, do not.

# %%
brighter = [1.4 * np.asarray(image) for image in cases["image"][120:]]
shifted = cases[120:].assign(image=pd.Series(brighter, cases.index[120:], dtype=object))
elsewhere = validate_model(model, shifted, y[120:])
print(elsewhere.answer())

# %% [markdown]
# Calibration and net benefit on both: a model is of use at the thresholds where its curve lies
# above treating all and above treating none.

# %%
figure, axes = plt.subplots(2, 1, figsize=(9, 9), layout="constrained")
same.plot(axes[0], title="same scanner")
elsewhere.plot(axes[1], title="another scanner")
plt.show()
