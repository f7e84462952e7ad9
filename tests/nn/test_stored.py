"""Shuffled reading of a store: every row once, each chunk once, in random order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nonredundant.nn.stored import LesionLoader, WindowSampler


class Chunked(SimpleNamespace):
    """Stand-in for a stored array that counts what is loaded."""


@pytest.fixture
def sampler():
    chunks = np.repeat(np.arange(25), 8)[:197]
    rng = np.random.default_rng(0)
    rng.shuffle(chunks)
    loaded = []
    array = Chunked(load=lambda rows: loaded.append(rows))
    made = WindowSampler(chunks, 4, [array], np.arange(197) * 2)
    made.loaded, made.chunks = loaded, chunks
    return made


def test_every_row_comes_once_and_each_chunk_in_one_window(sampler):
    order = np.array(list(sampler))
    assert sorted(order) == list(range(197))
    seen = sampler.chunks[order]
    for chunk in range(25):
        places = np.flatnonzero(seen == chunk)
        assert np.ptp(places) < 4 * 8


def test_the_order_is_random_and_set_by_the_seed(sampler):
    torch.manual_seed(0)
    first, second = list(sampler), list(sampler)
    torch.manual_seed(0)
    assert list(sampler) == first
    assert first != second
    # Neighbours in a batch come from several chunks: of the third window, which has four.
    torch.manual_seed(1)
    batch = sampler.chunks[list(sampler)[24:40]]
    assert len(set(batch.tolist())) == 4


def test_each_window_is_loaded_once_before_its_rows_are_used(sampler):
    order, loaded = [], []
    for position in sampler:
        order.append(2 * position)
        loaded = np.concatenate(sampler.loaded).tolist()
        assert order[-1] in loaded
    assert sorted(loaded) == sorted(order)
    # The first windows are short, as nothing is read before them.
    assert len(sampler.loaded[0]) <= 8 < len(sampler.loaded[2])


def test_a_dataset_in_memory_is_shuffled_as_by_torch():
    data = torch.arange(50)
    torch.manual_seed(3)
    expected = torch.cat(list(torch.utils.data.DataLoader(data, shuffle=True, batch_size=7)))
    torch.manual_seed(3)
    assert torch.equal(torch.cat(list(LesionLoader(data, shuffle=True, batch_size=7))), expected)
    assert torch.equal(torch.cat(list(LesionLoader(data, batch_size=7))), data)


def test_a_window_of_one_row():
    """Two chunks of one row each, read one at a time."""
    sampler = WindowSampler(np.array([0, 1]), 1, [Chunked(load=lambda rows: None)], np.arange(2))
    assert sorted(sampler) == [0, 1]
