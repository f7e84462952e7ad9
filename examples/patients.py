# %% [markdown]
"""
How do many lesions become one prediction?
==========================================

A patient may have twenty lesions and has one outcome. The usual way is to pool the lesions: the
mean of each feature, its maximum, or the features of the largest lesion. Here the outcome depends
on the *distance* between the two hottest lesions, which no pooling preserves. The lesion graph,
in which lesions attend to each other, is given their positions.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import PatientGraphDisplay
from nonredundant.patients import LesionGraphClassifier, LesionPooling

# %% [markdown]
# Phantoms with 2 to 8 lesions, and the age as a clinical column. Each connected component of the
# mask is a lesion; a few features suffice.

# %%
cases, y, _truth = make_lesions(
    300,
    n_lesions=(2, 8),
    visible_effect=0.0,
    hidden_effect=0.0,
    worst_effect=1.0,
    relational_effect=4.0,
    clinical_effect=1.0,
    spacing=3.0,
    random_state=0,
)
extractor = RadiomicsExtractor(
    modality="PET",
    feature_classes={"firstorder": ["Mean", "Maximum"], "shape": ["VoxelVolume"]},
    patch_shape=None,
    lesions="components",
    clinical=["age"],
)
table = extractor.fit_transform(cases)
table

# %% [markdown]
# `len(table)` is the number of patients, and slices are patients with all of their lesions: the
# first 200 are trained on, the others predicted.

# %%
train, new = slice(200), slice(200, None)
aucs = {}
for how in ("mean", "max", "largest"):
    pooled = make_pipeline(LesionPooling(how), StandardScaler(), LogisticRegression())
    probability = pooled.fit(table[train], y[train]).predict_proba(table[new])[:, 1]
    aucs[f"pooling: {how}"] = roc_auc_score(y[new], probability)
graph = LesionGraphClassifier(random_state=0).fit(table[train], y[train])
aucs["graph"] = roc_auc_score(y[new], graph.predict_proba(table[new])[:, 1])
pd.Series(aucs, name="AUC").round(3).to_frame()

# %% [markdown]
# A new patient, seen from the front: the size of a lesion is the attention of the graph to it, and
# lines are the pairs that it considers.

# %%
PatientGraphDisplay.from_estimator(
    graph, table, row=210, image=cases["image"].iloc[210], spacing=cases["spacing"].iloc[210]
)
plt.show()
