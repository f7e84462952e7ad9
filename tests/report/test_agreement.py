"""Agreement of the tests of the primary difference."""

from __future__ import annotations

import numpy as np
from pages_for_tests import changed, read


def test_verdict_follows_the_test(found, tmp_path, no_pictures):
    def with_first(p, estimate, informs):
        tests = found.tests.copy()
        chosen = np.all([tests[k] == v for k, v in found.primary.items()], axis=0)
        tests.loc[chosen, ["p_value", "estimate"]] = p, estimate
        # A gain is stated only if the learned features also inform.
        added = found.added_information.assign(p_value=informs)
        # A gain is stated only if the fused set is better than chance.
        summary = found.summary.assign(low=0.6)
        parts = {"tests": tests, "added_information": added, "summary": summary}
        return read(changed(found, **parts), tmp_path)

    cases = (
        (0.2, 0.1, 0.5, "none"),
        (0.01, 0.1, 0.5, "none"),
        (0.01, 0.1, 0.001, "gain"),
        (0.01, -0.1, 0.5, "loss"),
    )
    for *values, verdict in cases:
        classes = [e.get("class", "") for e in with_first(*values).of("p")]
        shown = [name for name in classes if name.startswith("statement")]
        # The first statement is that of the audit.
        assert shown[1] == f"statement {verdict}"
