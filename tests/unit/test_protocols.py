"""The protocols have the methods of the clients, with their signatures."""

from __future__ import annotations

import inspect

import pytest

from publitrac_async import PublitracClient, protocols
from publitrac_async.marketo import MarketoClient
from publitrac_async.protocols import MarketoApi, PublitracApi, VitecApi
from publitrac_async.vitec import VitecClient
from tests.support.four_vendors import FACADES

#: Methods that open, close or copy a client: they do not belong to the API.
LIFE = {"aclose", "from_env", "wait_closed", "with_options"}


def methods(kind: type) -> set[str]:
    return {
        name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")
    } - LIFE


def accept_publitrac(client: PublitracClient) -> PublitracApi:
    """Satisfy type checkers only if the client has the members of the protocol."""
    return client


def accept_neighbours(marketo: MarketoClient, vitec: VitecClient) -> tuple[MarketoApi, VitecApi]:
    return marketo, vitec


def test_every_protocol_is_here() -> None:
    assert {protocol.__name__ for protocol in FACADES} | {PublitracApi.__name__} == {*protocols.__all__}


@pytest.mark.parametrize(("protocol", "client"), FACADES.items())
def test_a_protocol_has_every_method_of_the_api(protocol: type, client: type) -> None:
    assert methods(protocol) == methods(client)
    for name in methods(protocol) - {"call"}:
        found = inspect.signature(getattr(protocol, name), eval_str=True)
        assert found == inspect.signature(getattr(client, name), eval_str=True), name
