"""Settings of every test: one thread a process, for the tests themselves run in parallel."""

import os

# Before NumPy and torch are imported; two processes of two threads each take twice as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
