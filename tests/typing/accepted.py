"""A program that type checkers accept in strict mode. They check it; nothing runs it."""
# pyright: strict

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, assert_type

from publitrac_async import (
    UNSET,
    Accepted,
    Event,
    Lead,
    LeadOutcome,
    Page,
    Pager,
    PublitracClient,
    PublitracError,
    PublitracOptions,
    Rate,
    RateLimiter,
    RetryPolicy,
    Secret,
    Timeout,
    Token,
    WindowLimiter,
    field,
)
from publitrac_async.bulk import (
    CallMeter,
    DocketExecutor,
    MarketoSink,
    Monitor,
    Progress,
    PublitracV1Sink,
    PublitracV2Sink,
    Record,
    RedisStateStore,
    Report,
    Sink,
    State,
    Verify,
    VitecSink,
    publitrac_record,
    read_leads,
    serve,
    sync_leads,
)
from publitrac_async.marketo import MarketoClient, MarketoOptions, MarketoPage, MarketoPager, RecordResult
from publitrac_async.protocols import MarketoApi, PublitracApi, V1Api, V2Api, VitecApi
from publitrac_async.shared import Shared, SharedFile, SharedRedis, share
from publitrac_async.v1 import EmailCampaign, Opportunity, Transaction, TransactionItem
from publitrac_async.v2 import PreparedLead
from publitrac_async.vitec import LeadSource, PersonLead, VitecClient


def narrowed(lead: Lead) -> str:
    """`UNSET` is false for type checkers as well."""
    if lead.first_name:
        assert_type(lead.first_name, str)
        return lead.first_name.upper()
    if lead.score:
        return str(lead.score + 1)
    if lead.created_date:
        return lead.created_date.isoformat()
    if lead.email is UNSET:
        return ""
    assert_type(lead.email, str | None)
    return lead.email or ""


class FakeV2:
    """Satisfies `V2Api`."""

    def __init__(self) -> None:
        self.sent: list[Lead | PreparedLead] = []

    def prepare(self, lead: Lead) -> PreparedLead:
        return PreparedLead(str(lead.email).encode())

    async def delayed_sync(self, lead: Lead | PreparedLead) -> Accepted:
        self.sent.append(lead)
        return Accepted(status="success", code=200)

    async def delayed_sync_many(
        self, leads: Iterable[Lead] | AsyncIterable[Lead]
    ) -> AsyncGenerator[LeadOutcome[Accepted], None]:
        assert not isinstance(leads, AsyncIterable)
        for position, lead in enumerate(leads):
            yield LeadOutcome(position=position, lead=lead, result=await self.delayed_sync(lead))

    async def get_token(self) -> Token:
        return Token(value=Secret("t"), ttl=900, expires_at=900)


class FakeVitec:
    """Satisfies `VitecApi`."""

    async def create_person_lead(
        self,
        customer_id: str,
        lead: PersonLead,
        *,
        format: Literal["json", "xml"] = "json",  # noqa: A002  (as in the client)
    ) -> str:
        return f"{customer_id} {lead.person.first_name} {format}"


class Fake:
    """Satisfies `PublitracApi`, with a custom v1."""

    def __init__(self, v1: V1Api) -> None:
        self._v1 = v1

    @property
    def v1(self) -> V1Api:
        return self._v1

    @property
    def v2(self) -> V2Api:
        return FakeV2()


async def fetch(number: int, on_sent: Callable[[], None] | None = None) -> Page[Lead]:
    return Page((Lead(email="ada@example.com"),), number)


async def fetch_token(token: str | None) -> MarketoPage[int]:
    return MarketoPage((1,), token)


PAGER: Pager[Lead] = Pager(fetch, key=lambda lead: lead.id)
MARKETO_PAGER: MarketoPager[int] = MarketoPager(fetch_token)


def fakes_are_accepted(v1: V1Api, marketo: MarketoApi) -> tuple[PublitracApi, V2Api, VitecApi]:
    PublitracV2Sink(FakeV2())
    PublitracV1Sink(v1)
    MarketoSink(marketo)
    VitecSink(FakeVitec(), "M30011", lead_source=LeadSource(name="Web"))
    Verify(v1=v1)
    return Fake(v1), FakeV2(), FakeVitec()


class Polite:
    """A custom limiter."""

    async def acquire(self) -> None: ...

    def pause(self, seconds: float) -> None: ...


class Console:
    """A custom sink."""

    name: str = "console"
    destination: str = "here"
    success_state: State = State.OK
    idempotent: bool = True
    batch_size: int = 10

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[Lead]:
        return publitrac_record(fields)

    async def send(self, contents: Sequence[Lead]) -> Sequence[PublitracError | None]:
        return [None for _ in contents]


def connect(**options: Unpack[PublitracOptions]) -> PublitracClient:
    """Options of a client are a type, so a function can pass them on."""
    return PublitracClient.from_env(**options)


def connect_marketo(**options: Unpack[MarketoOptions]) -> MarketoClient:
    return MarketoClient.from_env(**options)


def hook(event: Event) -> None:
    event.call_id.upper()


def listener(progress: Progress) -> None:
    progress.done.bit_count()


def clients_of_either_kind(limiter: RateLimiter) -> list[PublitracApi | MarketoApi | VitecApi]:
    shared: list[Shared] = [SharedFile(account="k"), share("file:", account="k")]
    return [
        *(PublitracClient.from_env(shared=each) for each in shared),
        connect(limiter=Polite(), timeout=Timeout(queue=None, total=None)),
        connect(limiter=limiter, timeout=None),
        connect_marketo(limiter=WindowLimiter(Rate(5, per=2))),
        VitecClient.from_env(rate_limit=Rate(5)),
    ]


async def everything_together() -> None:
    async with (
        SharedRedis("redis://localhost", "k", rate_limit=Rate(50, per=20)) as shared,
        PublitracClient(api_key="k", shared=shared, hooks=[hook]) as publitrac,
        MarketoClient(munchkin_id="123-ABC-456", client_id="i", client_secret="s", shared=shared) as marketo,
        VitecClient(username="u", password={"M1": "p"}, shared=shared) as vitec,
    ):
        fakes_are_accepted(publitrac.v1, marketo)
        state = RedisStateStore(shared, "leads", timeout=None)
        report = await sync_leads(
            read_leads("leads.csv"),
            publitrac.v2,
            state=state,
            executor=DocketExecutor(),
            verify=Verify(v1=publitrac.v1, rate_limit=Rate(1, per=2), timeout=None),
            monitor=Monitor(listener, call_meter=CallMeter(35)),
        )
        assert_type(report, Report)
        sink: Sink[Lead] = Console()
        await sync_leads([{"email": "ada@example.com"}], sink)
        await sync_leads([Lead(email="ada@example.com")], Console())
        await sync_leads(PAGER, VitecSink(vitec, "M1", lead_source=LeadSource(name="Web")))
        await serve(publitrac.v2, state, sources={"crm": lambda: [{"email": "ada@example.com"}]})
        assert_type(await marketo.sync_leads([{"email": "ada@example.com"}]), list[RecordResult])
        async for lead in publitrac.v1.get_leads(field("lastName").like("a%")):
            narrowed(lead)
        assert_type(await publitrac.v1.get_leads(), Page[Lead])
        assert_type(await publitrac.v1.call("getLead", {"email": "x"}, raw=True), bytes)
        assert_type(await publitrac.v1.call("getLead", {"email": "x"}), dict[str, Any])
        view = publitrac.with_options(timeout=2, retry=RetryPolicy(attempts=1))
        assert_type(view, PublitracClient)
        async for outcome in view.v2.delayed_sync_many([Lead()]):
            if outcome.error:
                assert outcome.error.retryable


RECORDS = (
    Opportunity(id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["1"]),
    EmailCampaign(name="n", from_name="n", from_email="e", subject="s", html="h"),
    Transaction(id=1, items=[TransactionItem(price=1)]),
)
