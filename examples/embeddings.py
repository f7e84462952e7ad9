# %% [markdown]
"""
Does a foundation model add to my radiomics?
============================================

Two tables are given: radiomics, and the embedding of the same lesions by a pretrained network, of
which one knows neither the training nor what its columns mean. Here both are simulated, so that
the truth is known: the embedding repeats six factors that the radiomics measure, and has two that
they cannot see, one of which decides on the outcome.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import nonredundant as nr

rng = np.random.default_rng(0)
n = 250
ids = [f"patient{i:03d}" for i in range(n)]
measured, hidden = rng.normal(size=(n, 6)), rng.normal(size=(n, 2))
y = pd.Series(
    (measured[:, 0] + hidden[:, 0] + rng.normal(size=n) > 0).astype(int), index=ids, name="relapse"
)
radiomics = pd.DataFrame(
    measured @ rng.normal(size=(6, 30)) + 0.5 * rng.normal(size=(n, 30)), index=ids
).add_prefix("original_feature")
seen = np.hstack([measured, hidden])
embedding = pd.DataFrame(seen @ rng.normal(size=(8, 512)) + rng.normal(size=(n, 512)), index=ids)

# %% [markdown]
# The table joins both by the ids of the patients, in whatever order the rows come. A second model,
# which knows what the radiomics know and nothing else, stands beside the first.

# %%
copy = measured @ rng.normal(size=(6, 512)) + rng.normal(size=(n, 512))
table = nr.LesionTable(
    radiomics,
    embeddings={
        "modelA": embedding.sample(frac=1, random_state=0),
        "modelB": pd.DataFrame(copy, index=ids),
    },
)
table

# %% [markdown]
# Nothing is trained but regressions: the embedding becomes 16 components, and what the radiomics
# predict of them is removed, in each fold anew.

# %%
found = nr.compare_feature_sets(
    table,
    y,
    classifiers="LR",
    n_repeats=1,
    baselines=False,
    controls=False,
    audit=["dcor"],
    random_state=0,
)
print(found.answer())

# %% [markdown]
# How much of each model the radiomics explain is a result in itself.

# %%
found.embeddings.round(2)

# %%
found.plot()
plt.show()

# %% [markdown]
# The estimator behind the sets named `-MI`, for pipelines of your own, gives radiomics and
# residuals side by side. The largest correlation of each component with a feature, before and
# after:


# %%
def largest(components):
    """Return the largest rank correlation of each component with a feature."""
    both = np.column_stack([radiomics.rank(), pd.DataFrame(components).rank()])
    return np.abs(np.corrcoef(both.T)[: radiomics.shape[1], radiomics.shape[1] :]).max(axis=0)


model = nr.NonRedundantEmbedding(8, embedding="modelA", output="dlr")
before = model.set_params(independent_of=None).fit_transform(table)
after = model.set_params(independent_of="auto").fit_transform(table)
print(f"The radiomics explain {100 * model.share_explained_:.0f} % of modelA's components.")
ax = pd.DataFrame({"components": largest(before), "residuals": largest(after)}).plot.bar(
    figsize=(7, 3), rot=0, color=["#999999", "#E69F00"]
)
ax.set(xlabel="component of modelA", ylabel="largest |correlation|")
plt.show()
