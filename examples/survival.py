# %% [markdown]
"""
Who relapses first?
===================

Outcomes are often times: to relapse, to death, or to the end of the follow-up for patients who
had neither. Dropping the censored patients, or calling them healthy, is wrong. Here a Cox
regression and the lesion graph rank new patients by risk, and the curves of Kaplan and Meier show
whether the ranking means something.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.nonparametric import kaplan_meier_estimator

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import make_lesions, make_survival_times
from nonredundant.patients import LesionGraphSurvival, LesionPooling
from nonredundant.statistics import compare_concordance, concordance_index

# %% [markdown]
# Patients with one to six lesions; the hazard depends on the worst lesion and on the age. About
# four in ten patients are censored. The outcome is a structured array, as in scikit-survival.

# %%
cases, _y, truth = make_lesions(
    300,
    n_lesions=(1, 6),
    visible_effect=0.0,
    hidden_effect=0.0,
    worst_effect=2.0,
    clinical_effect=1.0,
    spacing=3.0,
    random_state=0,
)
y = make_survival_times(truth, censoring=0.4, random_state=0)
extractor = RadiomicsExtractor(
    modality="PET",
    feature_classes={"firstorder": ["Mean", "Maximum"], "shape": ["VoxelVolume"]},
    patch_shape=None,
    lesions="components",
    clinical=["age"],
)
table = extractor.fit_transform(cases)
y[:4]

# %% [markdown]
# 200 patients to train on. Of two new patients, the one with the higher risk should relapse first:
# the concordance is the share of pairs in which that is so (0.5 by chance).

# %%
train, new = slice(200), slice(200, None)
cox = make_pipeline(LesionPooling("mean"), StandardScaler(), CoxPHSurvivalAnalysis(alpha=1.0))
risks = {
    "Cox on the mean lesion": cox.fit(table[train], y[train]).predict(table[new]),
    "lesion graph": LesionGraphSurvival(random_state=0)
    .fit(table[train], y[train])
    .predict(table[new]),
}
event, months = y["event"][new], y["time"][new]
for name, risk in risks.items():
    print(f"{name}: concordance {concordance_index(event, months, risk):.3f}")
difference = compare_concordance(event, months, *reversed(risks.values()))
print(
    f"difference {difference.estimate:+.3f}, 95 % interval {difference.low:+.3f} to "
    f"{difference.high:+.3f}, p = {difference.p_value:.3f}"
)

# %% [markdown]
# New patients by thirds of predicted risk. The further apart the curves, the more the risk says.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, (name, risk) in zip(axes, risks.items(), strict=True):
    third = np.digitize(risk, np.quantile(risk, [1 / 3, 2 / 3]))
    for group, (label, colour) in enumerate(
        {"low risk": "#0072B2", "middle": "#E69F00", "high risk": "#D55E00"}.items()
    ):
        rows = third == group
        times, remaining = kaplan_meier_estimator(event[rows], months[rows])
        ax.step([0, *times], [1, *remaining], where="post", label=label, color=colour)
    ax.set(title=name, xlabel="months", xlim=(0, 60), ylim=(0, 1.02))
axes[0].set_ylabel("without relapse")
axes[1].legend()
plt.show()
