"""Rules select the calls that a fault affects."""

from __future__ import annotations

import pytest

from publitrac_async.sandbox import Fault


class TestRules:
    async def statuses(self, v1, method: str, count: int) -> list[int]:
        return [(await v1.send(method)).status_code for _ in range(count)]

    @pytest.mark.parametrize(
        ("match", "struck"),
        [
            (None, [503, 503]),
            ("v1", [503, 503]),
            ("getLead", [503, 200]),
            ("v1.getLead", [503, 200]),
            ("v2", [200, 200]),
            ("v2.getLead", [200, 200]),
        ],
    )
    async def test_a_rule_affects_only_matching_calls(self, sandbox, v1, match, struck):
        sandbox.inject(Fault("status", match=match, times=None))

        assert [(await v1.send(method)).status_code for method in ("getLead", "syncLead")] == struck

    async def test_times_and_after(self, sandbox, v1):
        sandbox.inject(Fault("status", times=2, after=1))

        assert await self.statuses(v1, "getLead", 5) == [200, 503, 503, 200, 200]
        assert sandbox.faults.faults == []

    async def test_probability_is_reproducible(self, sandbox, v1):
        runs = []
        for _ in range(2):
            sandbox.clear_faults()
            sandbox.inject(Fault("status", times=None, probability=0.5, seed=7))
            runs.append(await self.statuses(v1, "getLead", 40))

        assert runs[0] == runs[1]
        assert 8 < runs[0].count(503) < 32

    async def test_cleared_rules_strike_no_call(self, sandbox, v1):
        sandbox.inject(Fault("status", times=None))
        sandbox.clear_faults()

        assert await self.statuses(v1, "getLead", 1) == [200]

    async def test_control_calls_are_spared(self, sandbox, http):
        sandbox.inject(Fault("drop"))

        assert (await http.get("/_sandbox/clock")).status_code == 200
        assert len(sandbox.faults.faults) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"kind": "nonsense"},
            {"kind": "status", "times": 0},
            {"kind": "status", "after": -1},
            {"kind": "status", "probability": 1.5},
            {"kind": "status", "status": 99},
            {"kind": "status", "variant": "truncated"},
            {"kind": "malformed", "variant": "nonsense"},
            {"kind": "redirect"},
            {"kind": "delay", "seconds": -1},
            {"kind": "cut", "cut_after": -1},
            {"kind": "status", "nonsense": 1},
            {"kind": "status", "times": "2"},
            {"kind": "status", "apply": "yes"},
            {"kind": "status", "headers": 5},
            {"kind": "status", "headers": [["x", "a\r\nb"]]},
            {"kind": "status", "headers": [["x y", "a"]]},
            {"kind": "status", "retry_after": "\u2603"},
            {"kind": "redirect", "location": "/a\nb"},
            {},
        ],
    )
    def test_unusable_rules_are_refused(self, options):
        with pytest.raises(ValueError, match="not a valid fault"):
            Fault.from_document(options)
