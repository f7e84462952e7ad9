# %% [markdown]
"""
When has a network trained enough?
==================================

Networks are trained by skorch, so its callbacks do what they do elsewhere: stop early, lower the
learning rate, save the best weights, or write to TensorBoard. They are given in `net_params`. The
loss curves show what they did.
"""

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from skorch.callbacks import EarlyStopping, LRScheduler, TensorBoard
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import LossCurveDisplay

# %%
cases, _y, _truth = make_lesions(120, random_state=0)
table = RadiomicsExtractor("PET", patch_shape=(16, 16, 16)).fit_transform(cases)

# %% [markdown]
# A fifth of the lesions is held out. The training stops when their loss has not fallen for 15
# epochs, and its best state is restored; the learning rate is halved after 5. All of it is written
# for TensorBoard: `tensorboard --logdir runs` shows it while the network is trained.

# %%
runs = Path(tempfile.mkdtemp()) / "runs"
cvae = NonRedundantCVAE(
    8,
    max_epochs=150,
    random_state=0,
    net_params={
        "validation_fraction": 0.2,
        "callbacks": [
            ("stop", EarlyStopping(monitor="valid_total", patience=15, load_best=True)),
            (
                "slower",
                LRScheduler(ReduceLROnPlateau, monitor="valid_total", factor=0.5, patience=5),
            ),
            ("board", TensorBoard(SummaryWriter(runs))),
        ],
    },
).fit(table)
print(
    f"{len(cvae.history_)} of {cvae.max_epochs} epochs; {len(list(runs.glob('*')))} file of events"
)

# %% [markdown]
# `history_` has one row per epoch, with the same names as the terms of the objective have in the
# mathematics.

# %%
cvae.history_.tail(3).round(3)

# %%
LossCurveDisplay.from_estimator(cvae)
plt.show()
