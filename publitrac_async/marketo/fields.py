"""Operations about the fields of leads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import orjson

from publitrac_async.checks import refuse
from publitrac_async.config import MARKETO_NEW_FIELDS
from publitrac_async.errors import Problem
from publitrac_async.marketo import building, checks, records, responses
from publitrac_async.marketo.models import (
    LeadAttribute,
    LeadField,
    LeadFieldUpdate,
    LeadSchema,
    NewLeadField,
)
from publitrac_async.marketo.operations import (
    CREATE_LEAD_FIELDS,
    DESCRIBE,
    DESCRIBE2,
    GET_LEAD_FIELD_BY_NAME,
    GET_LEAD_FIELDS,
    UPDATE_LEAD_FIELD,
)
from publitrac_async.marketo.paging import MarketoPager
from publitrac_async.marketo.results import FieldResult
from publitrac_async.marketo.sending import MarketoBase
from publitrac_async.marketo.structuring import structure, structure_field_result


class FieldOperations(MarketoBase):
    """Operations about fields."""

    async def describe(self) -> tuple[LeadAttribute, ...]:
        """Get all fields of leads ("Describe Lead").

        Marketo recommends `describe2` instead. The response rarely changes: keep it for a day.
        """
        return await self._send(DESCRIBE, partial(responses.items, kind=LeadAttribute))

    async def describe2(self) -> LeadSchema:
        """Get all fields of leads, and the searchable ones ("Describe Lead2").

        The response rarely changes: keep it for a day.
        """
        return await self._send(DESCRIBE2, responses.schema)

    async def get_lead_field_by_name(self, name: str) -> LeadField:
        """Get one field ("Get Lead Field by Name").

        Args:
            name: REST name.

        Raises:
            NotFound: the field does not exist.
            PermissionDenied: the role has neither Schema Standard Field nor Schema Custom Field.
        """
        building.name_of_field(name, GET_LEAD_FIELD_BY_NAME.name)
        return await self._send(GET_LEAD_FIELD_BY_NAME, responses.one_field, path={"fieldApiName": name})

    def get_lead_fields(
        self, *, batch_size: int | None = None, next_page_token: str | None = None
    ) -> MarketoPager[LeadField]:
        """Get all fields with all their metadata, hidden ones included ("Get Lead Fields").

        Args:
            batch_size: fields on a page; 300 at most, and by default.
            next_page_token: continue from this page.

        Raises:
            PermissionDenied: the role has neither Schema Standard Field nor Schema Custom Field.
        """
        query = building.page_size(batch_size, GET_LEAD_FIELDS.name)
        return self._pager(
            GET_LEAD_FIELDS, partial(structure, kind=LeadField), start=next_page_token, query=query
        )

    async def create_lead_fields(self, fields: Iterable[NewLeadField]) -> list[FieldResult]:
        """Create custom fields ("Create Lead Fields"). They can never be deleted.

        Args:
            fields: the fields; at most 100, the limit of an instance through the API.

        Returns:
            The outcome of each field, in input order.

        Raises:
            ValidationError: a name is invalid, or there are too many fields.
            OutcomeUnknown: the response is lost; the fields may have been created.
        """
        name = CREATE_LEAD_FIELDS.name
        given = list(fields)
        if len(given) > MARKETO_NEW_FIELDS:
            refuse([Problem(f"must be at most {MARKETO_NEW_FIELDS} fields", field="input")], name)
        inputs = [building.new_field(field) for field in given]
        batches = records.batches(inputs, name, check=checks.new_field_problems, given=given)
        return await self._send_batches(CREATE_LEAD_FIELDS, structure_field_result, batches)

    async def update_lead_field(self, name: str, field: LeadFieldUpdate) -> FieldResult:
        """Change a field ("Update Lead Field").

        Args:
            name: REST name.
            field: the changes.

        Raises:
            ValidationError: there is no change, or it is not allowed for this field.
            NotFound: the field does not exist.
        """
        operation = UPDATE_LEAD_FIELD.name
        building.name_of_field(name, operation)
        update = building.field_update(field, operation)
        results = await self._send(
            UPDATE_LEAD_FIELD,
            partial(responses.results, given=[field], build=structure_field_result),
            content=orjson.dumps({"input": [update]}),
            path={"fieldApiName": name},
        )
        return results[0]
