"""`NetworkEstimator` with the smallest network: options, failures, warm start, persistence."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset

from nonredundant.nn.estimator import NetworkEstimator, TrainingPlan
from nonredundant.nn.net import TermNet, build_net


class Rows(Dataset):
    """Rows of a matrix, collated as whole batches."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.__getitems__([i])

    def __getitems__(self, positions):
        return torch.from_numpy(self.x[positions])


class MeanNet(TermNet):
    def objective(self, batch):
        prediction = self.module_(batch)
        return (prediction - 1).square().mean(), prediction, {}


class Linear(torch.nn.Linear):
    def __init__(self, n_features):
        super().__init__(n_features, 1)


class Mean(NetworkEstimator):
    """Learn a linear function of the rows that is 1."""

    _own_options = {"fraction": 0.5}

    def __init__(self, *, lr=0.01, max_epochs=3, net_params=None):
        self.lr = lr
        self.max_epochs = max_epochs
        self.net_params = net_params

    def fit(self, X, classes=None):
        labels = np.zeros(len(X))
        plan = TrainingPlan({"n_features": X.shape[1]}, np.zeros((len(X), 0)), labels, classes)
        self._fit_net(plan, Rows(X), None, dict, 0)
        return self

    def predict(self, X):
        with torch.no_grad():
            return self.net_.module_(torch.from_numpy(X)).numpy()

    def _module_class(self):
        return Linear

    def _double(self, spec):
        return True

    def _build_net(self, module, plan, valid, n_rows, seed):
        options = self._net_options()
        settings = {"lr": self.lr, "max_epochs": self.max_epochs, "batch_size": 4, "verbose": 0}
        return build_net(MeanNet, module, valid=valid, options=options, **settings)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(12, 2)) + 1


def test_own_options_are_not_passed_to_skorch(rows):
    model = Mean(net_params={"fraction": 0.2, "max_epochs": 2}).fit(rows)
    assert model._option("fraction") == 0.2
    assert model._net_options() == {"max_epochs": 2}
    assert len(model.history_) == 2
    assert Mean()._option("fraction") == 0.5


def test_a_fit_that_fails_stores_nothing(rows):
    model = Mean(lr=1e300, max_epochs=30)
    with pytest.raises(FloatingPointError, match="the term 'total'"):
        model.fit(rows)
    assert not hasattr(model, "net_")
    assert not hasattr(model, "history_")


def test_classes_are_those_of_the_last_fit(rows):
    model = Mean().fit(rows, classes=np.array(["a", "b"]))
    assert model.classes_.tolist() == ["a", "b"]
    assert not hasattr(model.fit(rows), "classes_")


def test_a_pickled_model_predicts_the_same_bits_without_classes_of_torch(rows):
    model = Mean().fit(rows)
    data = pickle.dumps(model)
    assert b"torch" not in data
    assert b"skorch" not in data
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    pd.testing.assert_frame_equal(again.history_, model.history_)


def test_a_warm_start_continues_from_the_weights(rows):
    model = Mean(net_params={"warm_start": True}).fit(rows)
    first = model.history_["total"].iloc[0]
    restored = pickle.loads(pickle.dumps(model)).fit(rows)
    assert restored.history_["total"].iloc[0] < first
    assert len(model.fit(rows).history_) == 6
    assert len(restored.history_) == 3
