"""Every error can be pickled and copied with all its attributes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest

from publitrac_async import Problem, PublitracError, ValidationError
from publitrac_async import errors as module


def tree(kind: type[PublitracError] = PublitracError) -> Iterator[type[PublitracError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == module.__name__:
            yield from tree(below)


class Own(ValidationError):
    """A user's subclass, with its own constructor."""

    def __init__(self, shop: str, *, article: int) -> None:
        super().__init__(f"{shop} failed", problems=[Problem("bad", field="email", value="a@b.c")], code=9002)
        self.article = article


COPIES: list[Callable[[BaseException], BaseException]] = [
    copy.copy,
    copy.deepcopy,
    *[
        lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ],
]


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_every_error_is_copied_completely(
    kind: type[PublitracError], duplicate: Callable[[BaseException], BaseException]
) -> None:
    error = kind(
        "words",
        operation="getLead",
        status=503,
        code=9001,
        retryable=True,
        maybe_applied=True,
        retry_after=1.5,
    )
    error.attempts, error.elapsed = 3, 1.25
    error.add_note("a note")
    again = duplicate(error)
    assert type(again) is kind
    assert again is not error
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert "words" in str(again)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_users_subclass_too(duplicate: Callable[[BaseException], BaseException]) -> None:
    error = Own("shop", article=7)
    again = duplicate(error)
    assert isinstance(again, Own)
    assert (again.article, again.problems, str(again)) == (7, error.problems, str(error))
    assert again.problems[0].value == "a@b.c"


def test_the_tree_is_the_documented_one() -> None:
    assert module.__doc__ is not None
    assert all(kind.__name__ in module.__doc__ for kind in tree() if kind is not PublitracError)
    assert len(list(tree())) == 20


def test_an_error_without_a_message_has_a_text() -> None:
    error = PublitracError.__new__(PublitracError)
    PublitracError.__init__(error, "")
    error.args = ()
    assert "PublitracError" in str(error)


def test_quotes_of_the_vendor_are_in_no_text() -> None:
    problem = Problem("bad", field="email", value="ada@example.com", text="Email(ada@example.com) is bad")
    error = ValidationError(str(problem), problems=[problem])
    assert "ada@example.com" not in str(error) + repr(error) + repr(problem) + str(problem)
