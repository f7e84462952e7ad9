# %% [markdown]
"""
Which features come back when the patient is scanned again?
===========================================================

Nobody lies in the scanner twice in the same way, and no two readers draw the same contour. This
example perturbs simulated lesions a little and asks which hand-crafted features, and which latents
of a network, come back. What does not cannot be trusted in another hospital.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.stability import draw_perturbations, repeat_stability

# %% [markdown]
# Six changes, each the same for all lesions: the grid is turned and shifted, noise is added, the
# mask grows or shrinks, and its contour moves along supervoxels.

# %%
changes = draw_perturbations(6, "PET", random_state=0)
for change in changes:
    print(f"turned by {change.rotation:+.1f}°, volume {change.volume:+.0%}, noise {change.noise:g}")

# %% [markdown]
# The network learns from 50 lesions, as they are. Thirty others are measured under each change;
# every one of them is read once.

# %%
cases, _y, _truth = make_lesions(80, random_state=0)
extractor = RadiomicsExtractor(modality="PET", patch_shape=(16, 16, 16))
table = extractor.fit_transform(cases[:50])
cvae = NonRedundantCVAE(8, max_epochs=30, random_state=0).fit(table)
repeats = extractor.perturb(cases[50:], changes)

# %% [markdown]
# The intraclass correlation is the share of variance that lies between patients. A column is stable
# if the lower end of its interval reaches 0.75.

# %%
features, latents = repeat_stability(repeats), repeat_stability(repeats, cvae)
features.by_family().round(2)

# %% [markdown]
# One lesion under four of the changes, and the correlations of all features and latents.

# %%
figure = plt.figure(figsize=(9, 8), layout="constrained")
top, below = figure.subfigures(2, 1, height_ratios=(1, 3))
for ax, change, changed in zip(top.subplots(1, 4), changes, repeats, strict=False):
    ax.imshow(changed.patches[3, 0, 8], cmap="magma", vmin=0, vmax=12)
    ax.contour(changed.masks[3, 0, 8], levels=[0.5], colors="white", linewidths=1)
    ax.set_title(f"{change.rotation:+.0f}°, volume {change.volume:+.0%}", fontsize=9)
    ax.set_axis_off()
left, right = below.subplots(1, 2, width_ratios=(3, 2))
features.plot(ax=left)
latents.plot(ax=right)
plt.show()

# %% [markdown]
# `StableFeatures` makes a step of a comparison of it, learned in each fold from the repeats of its
# training patients.

# %%
print(features)
print(latents)
print(f"median ICC of latents: {np.median(latents.table['icc']):.2f}")
