# %% [markdown]
"""
What does each latent show, and would it come back?
===================================================

A deep feature is worth as much as one can say of it. The atlas shows which part of the lesion
each latent changes, and the hand-crafted feature that it correlates with most (weakly, owing to
the independence term). Networks that are trained again with another seed tell which latents were
found again, and which were an accident of one run.
"""

# %%
import matplotlib.pyplot as plt

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.inspection import latent_atlas, latent_stability

# %%
cases, _y, _truth = make_lesions(240, random_state=0)
table = RadiomicsExtractor("PET", patch_shape=(16, 16, 16)).fit_transform(cases)
known, new = table[:160], table[160:]
cvae = NonRedundantCVAE(8, max_epochs=30, output="dlr", random_state=0).fit(known)

# %% [markdown]
# Rows are latents: their share of the change in the images, and the feature with the strongest
# rank correlation, with its interval and its p-value corrected for all pairs.

# %%
atlas = latent_atlas(cvae, new)
atlas.table.round(2)

# %%
atlas.plot()
plt.show()

# %% [markdown]
# Two networks with other seeds: filled markers show how well one latent of theirs matches, open
# ones how well all of theirs together predict it. A latent that the others only find together
# exists, but its axis does not.

# %%
stability = latent_stability(cvae, known, X_test=new, n_fits=2, random_state=0)
stability.plot()
plt.show()
