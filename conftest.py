"""Settings of every test: one thread a process, for the tests themselves run in parallel."""

import torch

# Processes of several threads each, more than there are cores, wait for each other: ten times
# slower in small networks.
torch.set_num_threads(1)
