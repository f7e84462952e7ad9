"""Settings of every test: one thread a process, for the tests themselves run in parallel."""

import os

import torch

# dcor, which distance correlations are tested against, is compiled by numba when imported. That
# takes seconds in every process, and LLVM has aborted one; plain Python is quick enough here.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

# Processes of several threads each, more than there are cores, wait for each other: ten times
# slower in small networks.
torch.set_num_threads(1)
