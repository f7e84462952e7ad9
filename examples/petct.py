# %% [markdown]
"""
Does the CT add to the PET?
===========================

Patients have a PET and a CT of the same lesions. Both are read from one case table, a network sees
them as two channels, and feature sets by image say what the second one adds. In these simulated
lesions the outcome depends on the side of the lesion on which the CT has a dense spot. The PET does
not show it, and hand-crafted features of neither image measure it.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import ReconstructionDisplay

# %% [markdown]
# A case table with two images has the columns `image_pet`, `image_ct` and one `mask`.

# %%
cases, y, truth = make_lesions(
    400, images=2, visible_effect=0.0, hidden_effect=0.0, second_effect=4.0, random_state=0
)
cases.columns.tolist()

# %%
extractor = RadiomicsExtractor(
    images={
        "pet": {"modality": "PET"},
        "ct": {"modality": "CT", "spacing": "native", "bin_width": 5},
    },
    feature_classes=["shape", "firstorder"],
    patch_shape=(16, 16, 16),
    n_jobs=2,
)
table = extractor.fit_transform(cases)
train, test = table[:200], table[200:]
table

# %% [markdown]
# Features have the name of their image; shape is measured once. The network sees both images.

# %%
cvae = NonRedundantCVAE(max_epochs=60, random_state=0).fit(train)

# %% [markdown]
# Each image is drawn in its own units: PET in SUV, CT in HU.

# %%
ReconstructionDisplay.from_estimator(cvae, test, rows=[0, 1])
plt.show()

# %% [markdown]
# What do the hand-crafted features of each image, of both, and the network say of the outcome?


# %%
def auc(columns_of_train, columns_of_test):
    """Train on the first 200 patients, and score the others."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
    model.fit(columns_of_train, y[:200])
    return roc_auc_score(y[200:], model.decision_function(columns_of_test))


found = {}
for name in ("pet", "ct"):
    other = {"pet": "ct_", "ct": "pet_"}[name]
    columns = [column for column in table.columns if not column.startswith(other)]
    found[f"{name}:HCR"] = auc(train.features[columns], test.features[columns])
found["HCR"] = auc(train.features, test.features)
found["HCR+DLR-MI"] = auc(np.asarray(cvae.transform(train)), np.asarray(cvae.transform(test)))

figure, ax = plt.subplots(figsize=(5, 2.2), layout="constrained")
ax.barh(list(found), list(found.values()), color=["0.7", "0.7", "0.5", "tab:blue"])
ax.axvline(0.5, color="0.3", linestyle=":")
ax.set(xlim=(0.4, 1.0), xlabel="AUC on the 200 others")
ax.invert_yaxis()
plt.show()

# %% [markdown]
# In a study, `compare_feature_sets(..., feature_sets=["pet:HCR", "ct:HCR", "HCR", "HCR+DLR-MI"])`
# asks the same by cross-validation, with intervals and tests.
