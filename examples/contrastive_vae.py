# %% [markdown]
"""
Which contrastive model finds the digit?
========================================

Targets show a digit, 0 or 1, on a texture; background images show the texture alone. Three models
are trained with the label "target", but not with the digit. A good one has the digit in its
salient latents, and the texture in the common ones.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.contrastive import ContrastiveVAE, SepVAE
from nonredundant.datasets import make_digits_on_textures

# %% [markdown]
# The digit is faint.

# %%
cases, y, truth = make_digits_on_textures(2600, blend=0.8, random_state=0)
kinds = truth["subtype"].to_numpy()
table = LesionTable.from_arrays(patches=np.stack(list(cases["image"]))[:, None])
NAMES = {-1: "background", 0: "digit 0", 1: "digit 1"}
figure, axes = plt.subplots(3, 6, figsize=(7, 3.6), layout="constrained")
for row, (kind, name) in zip(axes, NAMES.items(), strict=True):
    for ax, image in zip(row, table.patches[kinds == kind][:6, 0], strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %% [markdown]
# The three models: by Abid and Zou (2019), by Weinberger and others (2022), and after Louiset and
# others (2023). They are trained on 2,000 images, and a linear classifier then tries, by
# cross-validation on the others, to tell targets and digits apart by the salient latents.

# %%
MODELS = {
    "ConVAE": ContrastiveVAE(salient_size=6),
    "MM-cVAE": ContrastiveVAE(salient_size=6, moment_matching=0.03),
    "SepVAE": SepVAE(salient_size=6),
}
linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
kinds_new, accuracy, planes = kinds[2000:], {}, {}
for name, model in MODELS.items():
    model.set_params(max_epochs=15, batch_size=128, lr=8e-3, output="salient", random_state=0)
    s = model.fit(table[:2000], y[:2000]).transform(table[2000:])
    targets = kinds_new >= 0
    accuracy[name] = {
        "target or not": cross_val_score(linear, s, targets).mean(),
        "which digit": cross_val_score(linear, s[targets], kinds_new[targets]).mean(),
    }
    planes[name] = LinearDiscriminantAnalysis().fit(s, kinds_new).transform(s)
pd.DataFrame(accuracy).T.round(2)

# %% [markdown]
# The plane in which the three kinds are furthest apart.

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (name, plane) in zip(axes, planes.items(), strict=True):
    for kind, colour, marker in ((-1, "0.6", "."), (0, "#0072B2", "o"), (1, "#D55E00", "^")):
        points = plane[kinds_new == kind].T
        ax.scatter(*points, s=12, c=colour, marker=marker, alpha=0.6, label=NAMES[kind])
    ax.set(title=name, xlabel="discriminant 1", ylabel="discriminant 2")
axes[-1].legend(fontsize=8)
plt.show()
