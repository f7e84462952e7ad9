"""Published experiments."""

from __future__ import annotations


def test_named_experiments_have_their_sets_and_hyper_parameters(cohort, monkeypatch):
    from nonredundant.evaluation import experiments

    vetil = experiments.get_experiment("vetil2023")
    names = [one.name for one in vetil.sets]
    assert names == ["H32", "H64", "D32", "D32-MI", "HD64", "HD64-MI"]
    assert vetil.network()["kappa"] == 1
    assert vetil.classifiers()["LR"].C == 1
    project = experiments.get_experiment("petvsclin")
    assert [one.name for one in project.sets] == ["H8", "H32", "D16", "D32", "HD24", "HD64"]
    assert project.network()["kappa"] == 50
    assert {one.variant.size for one in project.sets if one.variant} == {16, 32}
