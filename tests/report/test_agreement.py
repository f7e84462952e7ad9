"""Agreement of the tests of the primary difference."""

from __future__ import annotations

import numpy as np
from pages_for_tests import changed, read


def test_verdict_follows_the_test(found, tmp_path, no_pictures):
    def with_first(p, estimate):
        tests = found.tests.copy()
        chosen = np.all([tests[k] == v for k, v in found.primary.items()], axis=0)
        tests.loc[chosen, ["p_value", "estimate"]] = p, estimate
        return read(changed(found, tests=tests), tmp_path)

    for p, estimate, verdict in ((0.2, 0.1, "none"), (0.01, 0.1, "gain"), (0.01, -0.1, "loss")):
        page = with_first(p, estimate)
        assert (
            next(e["class"] for e in page.of("p") if e.get("id") == "answer") == f"answer {verdict}"
        )


def test_disagreement_of_tests_is_told_on_the_first_screen(found, tmp_path, no_pictures):
    at = {k: v for k, v in found.primary.items() if k != "classifier"}

    def with_p(first, pooled):
        tables = {}
        for name, p in (("tests", first), ("pooled_tests", pooled)):
            table = getattr(found, name).copy()
            chosen = np.all([table[k] == v for k, v in at.items()], axis=0)
            table.loc[chosen, ["estimate", "p_value"]] = 0.1, p
            tables[name] = table
        return read(changed(found, **tables), tmp_path).text

    same = "The result is the same in 3 of 3 further tests of this difference."
    assert same in with_p(0.2, 0.3)
    assert (
        "The result differs in 2 of 3 further tests of this difference: LR by DeLong, pooled "
        "out-of-fold (+0.100, p = 0.010); mine by DeLong, pooled out-of-fold (+0.100, p = 0.010)."
    ) in with_p(0.2, 0.01)
