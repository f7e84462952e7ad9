# %% [markdown]
"""
Which features does a selection choose, and does it help?
=========================================================

Radiomics are many and repeat each other. Here three factors of 40 decide on the outcome, and each
is measured by four features. A selection inside the folds shortens the list; how much the folds
agree on it, and what it is worth, are two questions.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import nonredundant as nr
from nonredundant.displays import SelectionFrequencyDisplay
from nonredundant.statistics import selection_stability

rng = np.random.default_rng(0)
n = 200
factors = rng.normal(size=(n, 40))
logit = factors[:, :3] @ [1.6, 1.2, 0.8]
y = (logit + rng.logistic(size=n) > 0).astype(int)
copies = np.repeat(factors, 4, axis=1) + 0.6 * rng.normal(size=(n, 160))
names = [f"factor{i:02d}_{j}" for i in range(40) for j in "abcd"]
table = nr.LesionTable(pd.DataFrame(copies, columns=names))

# %% [markdown]
# The step is learned on the training patients of each fold, and again in the inner splits that tune
# the classifier.

# %%
settings = {"feature_sets": ["HCR"], "classifiers": "LR", "baselines": False, "random_state": 0}
plain = nr.compare_feature_sets(table, y, n_repeats=1, **settings)
step = nr.SelectFeatures("mrmr", k=8)
found = nr.compare_feature_sets(table, y, n_repeats=2, steps=[step], **settings)
for name, one in (("all features", plain), ("8 selected", found)):
    row = one.summary.iloc[0]
    print(f"{name}: AUC {row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})")

# %% [markdown]
# Features of the three factors are chosen often, others by chance. Which of four copies is chosen
# changes from fold to fold: the list is less stable than the predictions.

# %%
SelectionFrequencyDisplay.from_comparison(found)
plt.show()

# %% [markdown]
# Counted by factor, whichever copy was chosen, the folds agree more.

# %%
factor_of = np.repeat(np.arange(40), 4)
folds = np.array_split(rng.permutation(n), 10)
chosen = []
for left_out in folds:
    train = np.setdiff1d(np.arange(n), left_out)
    mask = nr.SelectFeatures("mrmr", k=8).fit(table[train], y[train]).get_support()
    chosen.append(mask)
chosen = np.array(chosen)
by_factor = np.array([np.isin(np.arange(40), factor_of[mask]) for mask in chosen])
print(f"stability of features {selection_stability(chosen).estimate:.2f}")
print(f"stability of factors  {selection_stability(by_factor).estimate:.2f}")
