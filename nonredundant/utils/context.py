"""Context managers: collect warnings, silence loggers, run on one thread, undo a failed fit."""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController, threadpool_limits

from nonredundant.utils.user_warnings import fresh_kinds

_FOR_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collect the distinct messages of the warnings that a block raises for users."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught, fresh_kinds():
        warnings.simplefilter("always")
        yield messages
    found = [str(w.message) for w in caught if not issubclass(w.category, _FOR_DEVELOPERS)]
    messages.extend(dict.fromkeys(found))


@contextlib.contextmanager
def silent_loggers(*names: str) -> Iterator[None]:
    """Raise the level of loggers above all messages, and restore it afterwards."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def one_thread(*, torch_too: bool) -> Iterator[None]:
    """Run on one thread, so that results do not depend on how many tasks run in parallel."""
    with contextlib.ExitStack() as stack:
        if torch_too:
            import torch

            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        stack.enter_context(threadpool_limits(limits=1))
        yield


@functools.cache
def _blas() -> ThreadpoolController:
    """Return the controller of the libraries of linear algebra, which takes long to make."""
    return ThreadpoolController()


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """Run linear algebra on one thread: with several, the last bits of products differ."""
    return _blas().limit(limits=1, user_api="blas")


@contextlib.contextmanager
def seeded_numpy(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator in a block, and restore its state afterwards.

    Estimators without a random state, such as scikit-learn's `TargetEncoder`, draw from it.
    """
    generator = check_random_state(None)
    state = generator.get_state()
    generator.seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


@contextlib.contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Give an estimator the attributes back that it had, if a fit fails or is interrupted.

    Otherwise the scalers of a fit that failed would stand beside the network of an earlier one.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
