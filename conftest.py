"""Settings of every test: one thread per process, because the tests themselves run in parallel."""

import warnings

import torch

with warnings.catch_warnings():
    # Versions of SimpleITK before 2.5.7 warn while they are imported; where pytest makes an error
    # of that warning the process ends.
    warnings.simplefilter("ignore", DeprecationWarning)
    import SimpleITK  # noqa: F401

# Processes of several threads each, more than there are cores, wait for each other: ten times
# slower in small networks.
torch.set_num_threads(1)
