# %% [markdown]
"""
Does it work in a hospital that it has not seen?
================================================

Phantoms of three centres whose images differ in intensity, noise and voxel size, and which differ
in how ill their patients are. Three questions, in this order: do the features tell the centre? Does
a harmonisation mend it? And what is left in a centre that no model has seen?
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd

import nonredundant as nr
from nonredundant.datasets import make_lesions

cases, y, truth = make_lesions(
    180, n_dim=2, n_centres=3, centre_effect=1.5, centre_confounding=0.3, random_state=1
)
print(truth.attrs["centres"].round(2))
pd.crosstab(cases["centre"], y)

# %%
extractor = nr.RadiomicsExtractor(
    bin_width=0.5, spacing=(1.0, 1.0), feature_classes=["firstorder", "glcm"], patch_shape=(16, 16)
)
table = extractor.fit_transform(cases)

# %% [markdown]
# The centre of held-out patients is predicted from the features, and compared with centres that are
# shuffled. `Harmonise` estimates a shift and a scale of each centre and feature (ComBat).

# %%
even = nr.Harmonise().fit_transform(table)
coding = pd.DataFrame(
    {
        "as measured": nr.metrics.centre_coding(table.hcr, cases["centre"]),
        "harmonised": nr.metrics.centre_coding(even.hcr, cases["centre"]),
    },
    index=nr.metrics.CentreCoding._fields,
)
coding.head(4)

# %% [markdown]
# What counts is the patient of the next hospital. Each centre is left out once, and everything is
# learned on the two others, the harmonisation included; the centre that is left out has no
# estimate, and its features stay as they are.

# %%
settings = {
    "feature_sets": ["HCR", "HCR+PCA"],
    "classifiers": "LR",
    "cv": "centre",
    "centre": "centre",
    "baselines": False,
    "controls": False,
    "audit": False,
    "random_state": 0,
}
plain = nr.compare_feature_sets(table, y, **settings)
found = nr.compare_feature_sets(table, y, steps=[nr.Harmonise(unseen="reference")], **settings)
columns = ["centre", "n", "events", "score", "low", "high"]
print(plain.by_centre.query("feature_set == 'HCR'")[columns].round(2))
print(found.by_centre.query("feature_set == 'HCR'")[columns].round(2))

# %% [markdown]
# Three centres allow an interval, if a wide one.

# %%
print(found.answer())
nr.displays.FeatureSetComparisonDisplay.from_centres(found)
plt.show()
