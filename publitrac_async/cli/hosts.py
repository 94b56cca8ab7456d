"""What the processes of an account share through Redis: limit, token, ledger and queue.

Redis and docket take a while to load, and may not be installed: they are imported when somebody asks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.cli.exits import CommandError
from publitrac_async.client import read_environment
from publitrac_async.config import MARKETO_PERIOD
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.environment import read_variable
from publitrac_async.transport.secret import Secret

if TYPE_CHECKING:
    from types import ModuleType

    from publitrac_async.cli.sinks import SinkOptions
    from publitrac_async.redis import RedisLedger

#: Of the ledger, if nobody says otherwise; as `RedisLedger` has it.
LEDGER: Final = "default"


def load_docket() -> ModuleType:
    """The engine of many hosts.

    Raises:
        CommandError: its extra is not installed.
    """
    try:
        from publitrac_async.bulk.engines import docket  # noqa: PLC0415

        return docket
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("publitrac_async"):
            raise
    raise CommandError("runs on several hosts need an extra: pip install 'publitrac_async[docket]'")


def redis_url(option: str | None) -> str | None:
    """Where Redis is, by the option, or by the environment; ``None`` if neither says it.

    Raises:
        ConfigurationError: the file that the environment names cannot be read.
    """
    if option is not None:
        return option
    found = read_environment(os.environ, "redis_url")
    return None if found is None else found.reveal()


def needed_redis_url(option: str | None) -> str:
    """The same, for what cannot do without.

    Raises:
        CommandError: neither says it.
    """
    url = redis_url(option)
    if url is None:
        raise CommandError("several hosts share a Redis: say in PUBLITRAC_REDIS_URL, or by --redis, which")
    return url


def shared_ledger(name: str, *, via: str, customer: str | None, redis: str | None) -> RedisLedger:
    """The ledger of that name.

    Raises:
        CommandError: nobody says where Redis is, or the extra is not installed.
        ConfigurationError: the environment lacks the account's credential.
    """
    load_docket()
    from publitrac_async.redis import RedisLedger  # noqa: PLC0415

    return RedisLedger(
        needed_redis_url(redis),
        account=_account(via, customer),
        name=name,
        # What must never be sent twice is not left to what Redis has in its memory alone.
        durable=via == "vitec",
    )


def shared_state(options: SinkOptions) -> dict[str, Any]:
    """Arguments of a client that shares its limit, and for PUBLITRAC its token; none without Redis.

    Raises:
        CommandError: the extra is not installed.
        ConfigurationError: the environment lacks the account's credential.
    """
    url = None if options.sandbox else redis_url(options.redis)
    if url is None:
        return {}
    try:
        from publitrac_async.redis import shared  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from None
    state = shared(
        url,
        account=_account(options.via, options.customer),
        rate_limit=options.rate,
        per=MARKETO_PERIOD if options.via == "marketo" else 1.0,
    )
    return {**state} if options.via in ("v1", "v2") else {"limiter": state["limiter"]}


def _account(via: str, customer: str | None) -> Secret:
    """What limit, token and ledger belong to: the credential that all processes of the account have."""
    match via:
        case "vitec":
            names = ["VITEC_PASSWORD"]
            if customer is not None:
                names.insert(0, f"VITEC_PASSWORD_{customer}")
        case "marketo":
            names = ["MARKETO_CLIENT_SECRET"]
        case _:
            names = ["PUBLITRAC_API_KEY"]
    for name in names:
        found = read_variable(None, name)
        if isinstance(found, ConfigurationError):
            raise found
        if found is not None:
            return found
    raise ConfigurationError(f"the environment has neither {names[-1]} nor {names[-1]}_FILE")
