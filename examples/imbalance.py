# %% [markdown]
"""
Does resampling help with a rare outcome?
=========================================

Few patients have the outcome. Oversampling (SMOTE) and class weights are often tried first.
They move the threshold, and they spoil the probabilities: this example compares them by the area
under the ROC curve, which does not depend on a threshold, and by the calibration, which does.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import CalibrationBandDisplay

# %% [markdown]
# Phantoms, of which positive ones are left out until one patient in fifteen has the outcome.

# %%
cases, y, _truth = make_lesions(700, image_noise=1.0, random_state=0)
rng = np.random.default_rng(0)
keep = np.flatnonzero((y == 0) | (rng.random(len(y)) < 0.11))
extractor = RadiomicsExtractor(
    modality="PET", feature_classes=["firstorder", "shape"], patch_shape=None
)
table = extractor.fit_transform(cases.iloc[keep])
y = y[keep]
print(f"{y.sum()} of {len(y)} patients have the outcome")

# %% [markdown]
# A `LesionTable` goes through pipelines of scikit-learn and of imbalanced-learn as it is.
# Resampling is a step of the pipeline: it then concerns the training rows of a fold only. Done
# before the split, copies of a patient stand on both sides, and the result is too good.

# %%
MODELS = {
    "as it is": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
    "class weights": make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced")
    ),
    "SMOTE": make_pipeline(StandardScaler(), SMOTE(random_state=0), LogisticRegression(C=0.1)),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
scores = {
    name: cross_val_predict(model, table, y, cv=folds, method="predict_proba")[:, 1]
    for name, model in MODELS.items()
}
pd.DataFrame(
    {
        name: {
            "AUC": roc_auc_score(y, score),
            "Brier score (lower is better)": brier_score_loss(y, score),
            "mean predicted probability": score.mean(),
        }
        for name, score in scores.items()
    }
).T.round(3)

# %% [markdown]
# The order of the patients is nearly the same with all three. The probabilities are not: after
# resampling they are several times too high. A lower threshold on the untouched model does the
# same without it.

# %%
CalibrationBandDisplay.from_predictions(y, scores)
plt.show()
