# %% [markdown]
"""
Is a new lesion like those that the network knows?
==================================================

A network answers for every image, also for one that it should not be asked about: another organ,
a failed reconstruction, an artefact. `out_of_distribution` compares the reconstruction of a
lesion with those of lesions that were held out of training, and gives a p-value. If an alarm is
p < 0.05, one good lesion in twenty raises it, whatever the network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.inspection import out_of_distribution

# %% [markdown]
# 160 lesions to train on, 100 as a reference, which must not be those of the training, and 40 new
# ones.

# %%
cases, _y, _truth = make_lesions(300, random_state=0)
extractor = RadiomicsExtractor(
    "PET", feature_classes=["firstorder", "shape"], patch_shape=(16, 16, 16)
)
table = extractor.fit_transform(cases)
cvae = NonRedundantCVAE(8, max_epochs=30, random_state=0).fit(table[:160])

# %% [markdown]
# Four faults are put into the images of the same 40 patients.

# %%
rng = np.random.default_rng(0)
FAULTS = {
    "as trained": lambda image: image,
    "noisier scanner": lambda image: image + rng.normal(0, 4, image.shape),
    "blurred": lambda image: gaussian_filter(image, 2),
    "metal": lambda image: np.where(rng.random(image.shape) < 0.05, 25, image),
    "every second slice empty": lambda image: image * (np.arange(32) % 2)[:, None, None],
}
new = {}
for name, change in FAULTS.items():
    changed = cases[260:].assign(image=[change(image) for image in cases["image"][260:]])
    new[name] = extractor.transform(changed.astype({"image": object}))
reference = table[160:260]
found = {name: out_of_distribution(cvae, reference, lesions) for name, lesions in new.items()}
pd.DataFrame(
    {
        name: {"alarms (p < 0.05)": (result["p_value"] < 0.05).mean()}
        for name, result in found.items()
    }
).T

# %% [markdown]
# The same lesion with each fault, with its p-value. What is smoother than the training cohort is
# drawn better, not worse, so the test is blind to it: a blurred image passes.

# %%
figure, axes = plt.subplots(1, len(new), figsize=(11, 2.7), layout="constrained")
for ax, (name, lesions) in zip(axes, new.items(), strict=True):
    ax.imshow(lesions.patches[0, 0, 8], cmap="magma", vmin=0, vmax=15)
    ax.set_title(f"{name}\np = {found[name]['p_value'].iloc[0]:.3f}", fontsize=9)
    ax.set_axis_off()
plt.show()
