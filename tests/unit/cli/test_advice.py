"""Errors that end a command have a next step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from publitrac_async import errors
from publitrac_async.bulk.errors import BulkError, SourceError, StateStoreError
from publitrac_async.cli.advice import NEXT_STEPS, next_step, next_step_after
from publitrac_async.cli.exits import ending_of

#: The text of each of their errors has the next step.
TELLING = {BulkError, StateStoreError}


def subclasses(kind: type[errors.PublitracError]) -> Iterator[type[errors.PublitracError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("publitrac_async."):
            yield each
            yield from subclasses(each)


CLASSES = set(subclasses(errors.PublitracError)) - {errors.ApiError, errors.TransportError} - TELLING
#: In the same order in every process.
SORTED = sorted(CLASSES, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", SORTED, ids=lambda kind: kind.__name__)
def test_every_class_of_error_has_a_next_step(kind: type[errors.PublitracError]) -> None:
    ending = ending_of(kind("it failed"))
    assert ending is not None
    first, last = ending[0].splitlines()
    assert "it failed" in first
    assert last == f"Next: {next_step(kind('it failed'))}"


def test_a_text_that_has_the_step_gets_no_other() -> None:
    assert (
        next_step(SourceError("reading .xlsx needs the extra: pip install 'publitrac_async[xlsx]'")) is None
    )


def test_the_step_follows_the_message_of_the_service() -> None:
    ending = ending_of(errors.ServerError("failed", vendor_message="down until noon"))
    assert ending is not None
    assert ending[0].splitlines()[1:] == [
        'The service says: "down until noon"',
        "Next: run the command again later.",
    ]


def test_a_run_that_stopped_has_the_step_of_its_error() -> None:
    assert next_step_after("QuotaExhausted: code 607") == NEXT_STEPS[errors.QuotaExhausted]
    assert next_step_after("interrupted") is None
