# %% [markdown]
"""
Do deep features add to hand-crafted ones?
==========================================

The question of the package, on phantoms where the answer is known: the label depends on the
uptake, which hand-crafted features (HCR) measure, and on the side of a hot spot, which they
cannot. The answer has two parts: whether the deep features are new, and whether they help.
"""

# %%
import matplotlib.pyplot as plt

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions
from nonredundant.displays import RocBandDisplay

# %% [markdown]
# One call extracts the features once, and in each fold trains the networks and tunes and fits the
# classifiers on the training patients alone. DLR are deep features without the independence term,
# DLR-MI with it. So few folds and epochs serve this page; the defaults are for results.

# %%
cases, y, _truth = make_lesions(240, random_state=1)
found = compare_feature_sets(
    cases,
    y,
    extractor=RadiomicsExtractor(modality="PET", patch_shape=(16, 16, 16)),
    cvae=NonRedundantCVAE(8, max_epochs=30),
    feature_sets=("HCR", "DLR-MI", "HCR+DLR-MI"),
    classifiers=("LR",),
    cv=5,
    n_repeats=1,
    baselines=False,
    audit=("r2-ridge", "dcor"),
    random_state=0,
)
print(found.answer())

# %% [markdown]
# The points are areas under the ROC curve, the lines their 95 % intervals. On the right the paired
# differences to HCR: an interval that includes 0 is no evidence of a gain.

# %%
found.plot()
plt.show()

# %% [markdown]
# The table behind the figure.

# %%
found.tests

# %% [markdown]
# The curves themselves, with their pointwise bands: where there are few patients, they are wide.

# %%
RocBandDisplay.from_comparison(found)
plt.show()
