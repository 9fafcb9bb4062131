"""Malformed and odd requests against a page, made by Schemathesis of its own description."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase

LEFT_OUT = ("stream.mjpeg", "grid.mjpeg", "/results", "/healthz", "/readyz")
"""Paths with endless responses, and those that correctly return 503 for invented cameras."""

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance")


def attack(address: str, requests: int, headers: dict[str, str] | None = None) -> Counter[str]:
    """Send about this many requests, half of them malformed; returns the responses by status.

    Raises:
        AssertionError: A response is a server error, or differs from its description.
    """
    schema: Any = schemathesis.openapi.from_url(f"{address}api/v1/openapi.json")
    operations = [
        one.ok() for one in schema.get_all_operations() if not one.ok().path.endswith(LEFT_OUT)
    ]
    # Of some operations there are fewer malformed requests than asked for.
    each = math.ceil(requests / len(operations) / 1.25)
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]
    answers: Counter[str] = Counter()
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    for operation, mode in itertools.product(operations, modes):
        _try(operation, mode, each, checks, answers, headers or {})
    return answers


def _try(
    operation: Any,
    mode: Any,
    each: int,
    checks: list[Any],
    answers: Counter[str],
    headers: dict[str, str],
) -> None:
    @hypothesis.settings(
        max_examples=each,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers=headers, timeout=20)
        answers[str(answer.status_code)] += 1
        case.validate_response(answer, checks=checks)

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        return  # nothing of the operation can be malformed
