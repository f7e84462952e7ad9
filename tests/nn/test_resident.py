"""A cohort on the device gives the same training, and its numbers are read once per epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.nn import resident
from nonredundant.nn.batches import LesionDataset
from nonredundant.nn.net import TermNet


def table(n=24):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(n, 1, 8, 8))
    return LesionTable.from_arrays(
        features=rng.normal(size=(n, 3)), patches=patches, masks=rng.random(patches.shape) < 0.7
    )


def model(**settings):
    options = {"validation_fraction": 0.25, **settings.pop("net_params", {})}
    return NonRedundantCVAE(
        2, max_epochs=4, batch_size=7, random_state=0, device="cpu", net_params=options, **settings
    )


def as_if_on_a_gpu(monkeypatch):
    """Keep the cohort on the device, and read numbers once per epoch, on the CPU."""
    monkeypatch.setattr(resident, "resident", resident.ResidentLesions)
    monkeypatch.setattr(TermNet, "_on_cuda", property(lambda net: True))


def test_the_same_batches_and_weights_as_from_the_memory_of_the_computer(monkeypatch):
    expected = model().fit(table())
    as_if_on_a_gpu(monkeypatch)
    found = model().fit(table())
    assert isinstance(found.net_.train_split(None)[1], resident.ResidentLesions)
    np.testing.assert_array_equal(found.history_, expected.history_)
    np.testing.assert_array_equal(found.transform(table()), expected.transform(table()))


def test_no_number_is_read_before_the_end_of_an_epoch(monkeypatch):
    reads = []
    original = TermNet._read_terms
    as_if_on_a_gpu(monkeypatch)
    monkeypatch.setattr(
        TermNet, "_read_terms", lambda net: reads.append(len(net.unread_)) or original(net)
    )

    class Item(Callback):
        """Fails if a step hands out a number that was read from the device."""

        def on_batch_end(self, net, loss, **kwargs):
            assert isinstance(loss, torch.Tensor)
            assert "total" not in net.history[-1]["batches"][-1]

    model(net_params={"callbacks": [Item()]}).fit(table())
    # 18 rows in 3 batches, 6 held-out ones in one.
    assert reads == [3, 1] * 4


def test_callbacks_find_what_they_monitor_at_the_end_of_an_epoch(monkeypatch):
    as_if_on_a_gpu(monkeypatch)
    stop = EarlyStopping(monitor="valid_total", patience=1, threshold=10.0)
    assert len(model(net_params={"callbacks": [stop]}).fit(table()).history_) == 2


def test_a_divergence_is_named_at_the_end_of_the_epoch(monkeypatch):
    as_if_on_a_gpu(monkeypatch)
    with pytest.raises(FloatingPointError, match=r"'reconstruction' .* in epoch 1; lower lr"):
        model(augment=lambda x, mask: (x * torch.nan, mask)).fit(table())


def test_only_what_fits_into_the_memory_of_a_gpu_is_kept_there(monkeypatch):
    t = table()
    parts = (t.patches, t.masks, np.zeros((24, 0)), np.zeros(24), np.zeros(24))
    dataset = LesionDataset(*parts, np.arange(24))
    assert resident.resident(dataset, "cpu") is dataset
    row = t.patches[0].nbytes + t.masks[0].nbytes
    monkeypatch.setattr(resident, "ResidentLesions", lambda *given: "resident")
    for free, kept in ((100 * row, True), (30 * row, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        assert (resident.resident(dataset, "cuda") == "resident") == kept


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_step_on_a_gpu_does_not_wait_for_it():
    class Strict(Callback):
        def on_batch_begin(self, net, **kwargs):
            torch.cuda.set_sync_debug_mode("error" if len(net.history) > 1 else "default")

        def on_batch_end(self, net, **kwargs):
            torch.cuda.set_sync_debug_mode("default")

    half = {"mixed_precision": True}
    for options in ({}, half):
        cvae = model(net_params={"callbacks": [Strict()], **options}).set_params(device="cuda")
        assert np.isfinite(cvae.fit(table()).transform(table())).all()
