# %% [markdown]
"""
What do targets have that the background lacks?
===============================================

Background images show an organ; targets show an organ with a blob or a ring. SepVAE is told which
images are targets, and nothing else. It separates what all images share from what only targets
have, so that the pattern can be removed from an image, or given to another one. Its salient
latents also tell blobs from rings, which it was never told.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from nonredundant import LesionTable
from nonredundant.contrastive import SepVAE
from nonredundant.datasets import make_contrastive
from nonredundant.displays import LatentSpaceDisplay

# %%
cases, y, truth = make_contrastive(3000, salient_effect=1.0, random_state=0)
table = LesionTable.from_arrays(patches=np.stack(list(cases["image"]))[:, None])
model = SepVAE(max_epochs=30, batch_size=128, lr=8e-3, output="salient", random_state=0)
model.fit(table[:2400], y[:2400])

# %% [markdown]
# New targets, two of each kind: the image; its reconstruction; the same image as if it were
# background; the difference of the two, which is the pattern; and the same organ with the pattern
# of the next row.

# %%
new = 2400 + np.flatnonzero(y[2400:] == 1)
kinds = truth["subtype"].to_numpy()
rows = np.stack([new[kinds[new] == kind][:2] for kind in (0, 1)], axis=1).ravel()
shown = table[rows]
drawn, plain = model.reconstruct(shown), model.reconstruct(shown, salient=False)
columns = {
    "target": shown.patches,
    "reconstructed": drawn,
    "as background": plain,
    "removed": drawn - plain,
    "pattern of\nthe next row": model.swap(shown, shown[np.roll(np.arange(4), -1)]),
}
low, high = np.quantile(shown.patches, [0.01, 0.99])
figure, axes = plt.subplots(4, len(columns), figsize=(7.5, 6.2), layout="constrained")
for column, (title, images) in zip(axes.T, columns.items(), strict=True):
    column[0].set_title(title, fontsize=9)
    style = dict(cmap="gray", vmin=low, vmax=high)
    if title == "removed":
        style = dict(cmap="RdBu_r", vmin=-0.8, vmax=0.8)
    for ax, image in zip(column, images[:, 0], strict=True):
        ax.imshow(image, **style)
        ax.set_axis_off()
plt.show()

# %% [markdown]
# The salient latents of new targets, coloured by the kind, which was not used in training.

# %%
LatentSpaceDisplay.from_latents(
    model.transform(table[new]),
    np.array(["blob", "ring"])[kinds[new]],
    colour_name="kind",
    title="salient latents of new targets",
)
plt.show()
