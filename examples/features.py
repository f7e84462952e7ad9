# %% [markdown]
"""
What do hand-crafted features see in a lesion?
==============================================

Hand-crafted radiomics (HCR) are formulas for uptake, size, shape and texture. This example
measures 100 simulated lesions and shows, for one feature of each kind, the lesions from the
smallest to the largest value. What none of them sees is the side on which the hot spot lies.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import make_lesions

# %% [markdown]
# A case table has one row per patient. Its cells are paths of files or, as here, arrays. The
# column `spacing` is the voxel size in mm, which files have in their headers.

# %%
cases, y, truth = make_lesions(100, random_state=0)
cases.drop(columns=["image", "mask"]).head(3)

# %% [markdown]
# One call measures all lesions: pyradiomics' features, and a patch of each lesion for networks.

# %%
table = RadiomicsExtractor(modality="PET", patch_shape=(24, 24, 24)).fit_transform(cases)
table

# %% [markdown]
# `table.features` is a DataFrame, with the columns named as pyradiomics names them.

# %%
SHOWN = {
    "original_firstorder_Mean": "mean uptake (SUV)",
    "original_shape_VoxelVolume": "volume (mm³)",
    "original_shape_Elongation": "elongation (1: round)",
    "original_glcm_Contrast": "contrast of neighbours",
}
table.features[list(SHOWN)].describe().round(2)

# %% [markdown]
# Patches have the axes z, y and x. Each row shows the middle slice of the lesions at five
# quantiles of one feature. Patches are scaled to the size of the lesion, so only shape and uptake
# differ.

# %%
quantiles = (0.02, 0.25, 0.5, 0.75, 0.98)
figure, axes = plt.subplots(len(SHOWN), len(quantiles), figsize=(7.5, 6.5), layout="constrained")
for row, (feature, name) in zip(axes, SHOWN.items(), strict=True):
    order = np.argsort(table.features[feature].to_numpy())
    for ax, quantile in zip(row, quantiles, strict=True):
        lesion = order[round(quantile * (len(order) - 1))]
        ax.imshow(table.patches[lesion, 0, 12], cmap="magma", vmin=0, vmax=15)
        ax.set_title(f"{table.features[feature].iloc[lesion]:.3g}", fontsize=9)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, fontsize=8)
plt.show()

# %% [markdown]
# The label of these phantoms depends on the uptake and on the side of the hot spot. Features do
# not change when an image is mirrored, so they cannot tell one side from the other: their
# strongest rank correlation with it is what 107 features reach by chance.

# %%
from scipy.stats import spearmanr

largest = {
    factor: max(abs(spearmanr(table.features[name], truth[factor])[0]) for name in table.features)
    for factor in ("visible", "hidden")
}
print({factor: round(float(value), 2) for factor, value in largest.items()})
