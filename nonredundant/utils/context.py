"""What surrounds each task of a comparison: one core, and a record of the warnings raised."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

_FOR_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collect the users' warnings of a block, each once, for the report."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    found = [str(w.message) for w in caught if not issubclass(w.category, _FOR_DEVELOPERS)]
    messages.extend(dict.fromkeys(found))


@contextlib.contextmanager
def one_thread(*, torch_too: bool) -> Iterator[None]:
    """Run on one core, so that results do not depend on how many tasks run beside this one."""
    from threadpoolctl import threadpool_limits

    with contextlib.ExitStack() as stack:
        if torch_too:
            import torch

            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        stack.enter_context(threadpool_limits(limits=1))
        yield
