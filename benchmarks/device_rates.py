"""Rates of training on a device: samples per second, and the shares of its peak and bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

#: Side of the matrices whose product measures the peak, and bytes that measure the bandwidth.
SIDE = {"cuda": 8192, "cpu": 1024}
COPIED = {"cuda": 2 << 30, "cpu": 256 << 20}
REPEATS = 5


class Work(NamedTuple):
    """Floating-point operations and bytes of one step."""

    flops: float
    bytes: float


class ByteCounter(TorchDispatchMode):
    """Sum the bytes that operators read and write, as if nothing stayed in a cache.

    Views move nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        """Call the operator and add the sizes of its tensors."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [one for one in tree_leaves((args, kwargs, out)) if isinstance(one, Tensor)]
            self.bytes += sum(one.numel() * one.element_size() for one in tensors)
        return out


def count_work(step: Callable[[], Any]) -> Work:
    """Count the operations and bytes of a step; products and convolutions count as operations."""
    with FlopCounterMode(display=False) as flops:
        step()
    with ByteCounter() as traffic:
        step()
    return Work(float(flops.get_total_flops()), float(traffic.bytes))


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def best_seconds(call: Callable[[], Any], device: str) -> float:
    """Return the shortest time of several calls, after one that is not counted."""
    call()
    wait(device)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        wait(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measured_peak(device: str, dtype: torch.dtype) -> float:
    """Measure the operations per second of a large matrix product."""
    side = SIDE[torch.device(device).type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / best_seconds(lambda: a @ b, device)


def measured_bandwidth(device: str) -> float:
    """Measure the bytes per second of a large copy, which reads and writes."""
    n_bytes = COPIED[torch.device(device).type]
    source = torch.zeros(n_bytes // 4, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / best_seconds(lambda: target.copy_(source), device)


def describe_rates(
    seconds: float, n_samples: int, n_steps: int, work: Work, peak: float, bandwidth: float
) -> str:
    """Return the cells of an epoch: samples per second, and the rates with their shares."""
    flops, traffic = (n_steps * one / seconds for one in work)
    return (
        f"{n_samples / seconds:,.0f} | {flops / 1e9:,.1f} ({flops / peak:.1%}) | "
        f"{traffic / 1e9:,.1f} ({traffic / bandwidth:.0%})"
    )
