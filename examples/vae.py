# %% [markdown]
"""
Do the latents repeat the hand-crafted features?
================================================

The latents of an ordinary variational autoencoder (VAE) describe a lesion completely, and so they
contain size and uptake, which hand-crafted features (HCR) measure already. A `NonRedundantCVAE`
is given the HCR and penalised for repeating them. The audit asks newly trained estimators, on
lesions that neither network has seen, how much of the HCR they find in the latents.
"""

# %%
import matplotlib.pyplot as plt

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, redundancy_report
from nonredundant.contrastive import VAE
from nonredundant.datasets import make_lesions
from nonredundant.displays import RedundancyDisplay, TraversalDisplay

# %% [markdown]
# 160 lesions to train on, 120 others for the audit.

# %%
cases, _y, _truth = make_lesions(280, random_state=0)
table = RadiomicsExtractor("PET", patch_shape=(16, 16, 16)).fit_transform(cases)
train, new = table[:160], table[160:]

# %% [markdown]
# Both networks have six latents and see the same lesions for as long.

# %%
plain = VAE(6, max_epochs=40, random_state=0).fit(train)
freed = NonRedundantCVAE(6, max_epochs=40, output="dlr", random_state=0).fit(train)

# %% [markdown]
# The audit compares each estimate with what it finds where lesions are paired at random (grey).
# Above that band the latents share something with the features.

# %%
METHODS = ["r2-ridge", "r2-forest", "discriminator-auc", "dcor"]
reports = {
    name: redundancy_report(
        new.features,
        model.transform(new),
        methods=METHODS,
        n_permutations=50,
        random_state=0,
    )
    for name, model in {"VAE": plain, "NonRedundantCVAE": freed}.items()
}
reports["NonRedundantCVAE"][["estimate", "null_mean", "null_95", "p_value"]].round(3)

# %%
RedundancyDisplay.from_reports(reports)
plt.show()

# %% [markdown]
# What the latents describe instead: one lesion, and what changes when one latent varies and the
# hand-crafted features stay as they are.

# %%
TraversalDisplay.from_estimator(freed, new, row=0, latents=range(4))
plt.show()
