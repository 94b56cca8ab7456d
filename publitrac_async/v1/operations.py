"""The operations of API v1, to be held against the vendor's page.

All have one URL; the method is a parameter. Status and message of success are the documents'; they are
shown here and decide nothing, since the vendor uses them loosely (2001 alone stands for four methods).
"""

from __future__ import annotations

from typing import Final

from publitrac_async.transport.operation import Operation, OperationClass

READ, UPSERT = OperationClass.READ, OperationClass.UPSERT


def operation(name: str, verb: str, operation_class: OperationClass) -> Operation:
    """A row of the table."""
    return Operation(name=name, verb=verb, path=f"/api?method={name}", operation_class=operation_class)


GET_LEADS: Final = operation("getLeads", "GET", READ)  # 2001 Get leads success.
GET_LEAD: Final = operation("getLead", "GET", READ)  # 2002 Get lead success.
GET_LEAD_BY_EXTERNAL_ID: Final = operation("getLeadByExternalId", "GET", READ)  # 2010 getLeadByExternalId ...
SYNC_LEAD: Final = operation("syncLead", "POST", UPSERT)  # 2006 Leads synchronization successfull.
