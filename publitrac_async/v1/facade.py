"""Façade of API v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from publitrac_async.transport.boundary import boundary
from publitrac_async.v1 import raw as requests
from publitrac_async.v1.campaigns import CampaignOperations
from publitrac_async.v1.histories import HistoryOperations
from publitrac_async.v1.leads import LeadOperations
from publitrac_async.v1.lists import ListOperations
from publitrac_async.v1.opportunities import OpportunityOperations
from publitrac_async.v1.transactions import TransactionOperations


@boundary
class V1(
    LeadOperations,
    ListOperations,
    HistoryOperations,
    CampaignOperations,
    OpportunityOperations,
    TransactionOperations,
):
    """PUBLITRAC API v1, available as ``client.v1``. Programs do not construct it.

    Methods have the vendor's names in snake_case. Every method raises the errors of `publitrac_async.errors`;
    each method lists only its particular errors. Methods that take values raise `ValidationError`: before
    anything is sent if a value cannot be sent or breaks a documented rule, otherwise if the service refuses
    it.

    ``documents: annex`` marks methods for which PUBLITRAC's page lists only the errors, and ``documents:
    constant`` the one for which it lists only a status number. Their verb and parameters are inferred and
    unverified; `V1Shapes` changes them, and `call` sends any other form.
    """

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        idempotent: bool = False,
        raw: Literal[False] = False,
    ) -> dict[str, Any]: ...

    @overload
    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        idempotent: bool = False,
        raw: Literal[True],
    ) -> bytes: ...

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        xml: str | None = None,
        *,
        verb: Literal["GET", "POST"] | None = None,
        idempotent: bool = False,
        raw: bool = False,
    ) -> dict[str, Any] | bytes:
        """Call any method by the vendor's name, including those without a function in this package.

        Args:
            method: ``"getLead"``, ...
            params: parameters besides the credentials.
            xml: the `query` document.
            verb: by default the documented one; for unknown methods POST with `xml` and GET without.
            idempotent: repeating the call does no harm, so it may be retried after a lost response. The class
                of documented methods is known; others are reads if their name begins with ``get``.
            raw: return the decompressed body without parsing it, for a response that cannot be read. An
                HTTP status that means an error still raises it.

        Returns:
            The children of `<response>` as nested dicts; ``lead``, ``campaign``, ``opportunity`` and
            ``error`` are always lists. With `raw`, the body.
        """
        if raw:
            request = requests.call(method, params, xml, requests.body_of, verb=verb, idempotent=idempotent)
            return await self._send(request)
        return await self._send(
            requests.call(method, params, xml, requests.content_of, verb=verb, idempotent=idempotent)
        )
