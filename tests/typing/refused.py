"""Mistakes that type checkers refuse in strict mode: a comment that hides no mistake is reported.

They check it; nothing runs it.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from publitrac_async import Lead, PublitracClient, Rate
from publitrac_async.bulk import Verify, VitecSink
from publitrac_async.marketo import MarketoClient, NewLeadField
from publitrac_async.protocols import V2Api
from publitrac_async.v1 import EmailCampaign, FilledForm, Opportunity, Transaction
from publitrac_async.vitec import LeadSource, Person, PersonLead, VitecClient


class HalfAFake:
    def prepare(self, lead: Lead) -> bytes:
        return str(lead.email).encode()


def misspelt_options() -> None:
    PublitracClient.from_env(timeot=5)  # type: ignore[call-arg]
    MarketoClient.from_env(timeot=5)  # type: ignore[call-arg]
    VitecClient.from_env(timeot=5)  # type: ignore[call-arg]
    PublitracClient.from_env().with_options(timeot=5)  # type: ignore[call-arg]
    Lead(firstname="Ada")  # type: ignore[call-arg]


def values_of_another_type(lead: Lead, vitec: VitecClient) -> str:
    PublitracClient.from_env(rate_limit="35")  # type: ignore[arg-type]
    MarketoClient.from_env(shared="file:")  # type: ignore[arg-type]
    Rate(35, 20)  # type: ignore[call-arg]
    VitecSink(vitec, "M1", lead_source="Web")  # type: ignore[arg-type]
    return lead.first_name  # type: ignore[return-value]


def missing_fields() -> None:
    Opportunity()  # type: ignore[call-arg]
    EmailCampaign(name="x")  # type: ignore[call-arg]
    FilledForm()  # type: ignore[call-arg]
    Transaction()  # type: ignore[call-arg]
    PersonLead(person=Person(first_name="A", last_name="B"))  # type: ignore[call-arg]
    PersonLead(lead_source=LeadSource(name="Web"))  # type: ignore[call-arg]
    NewLeadField()  # type: ignore[call-arg]
    Verify()  # type: ignore[call-arg]


def half_a_fake() -> V2Api:
    return HalfAFake()  # type: ignore[return-value]
