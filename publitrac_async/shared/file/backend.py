"""`SharedFile`: rate limit and token of one account on one host."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from publitrac_async.config import PUBLITRAC_RATE, Rate
from publitrac_async.shared.file.limiter import GUARD, FileRateLimiter
from publitrac_async.shared.file.record import AccountFile
from publitrac_async.shared.file.slots import FileSlots
from publitrac_async.shared.file.tokens import FileTokenStore
from publitrac_async.transport.limits import Unlimited, shared_rate
from publitrac_async.transport.secret import Secret, all_sealed, seal


class SharedFile:
    """Rate limit and token for all processes of this host that use the same file.

    The file is 16 KiB long, has mode 0600 and must be on a local disk. It may be deleted at any time; the
    processes then send nothing for one period of the rate. Processes may be killed and forked at any time,
    and the host may restart. Containers can share the file if they share its folder and the kernel.

    Args:
        path: a file, created if missing; a folder, for a file named after the account; ``None`` for a private
            folder of this user in the folder for temporary files.
        account: owner of limit and token, preferably the API key. The file contains only a hash of it.
        rate_limit: calls of all processes together; a number means calls per second, ``None`` no limit.
        in_flight: requests in flight at once, of all processes together; ``None`` for no limit. Each needs
            another file beside this one.
        guard: seconds added to the period: calls sent a second apart may arrive closer together.
        clock: monotonic seconds, the same for all processes of the host.

    Raises:
        ConfigurationError: a number is not positive; or the file is unusable: it is on a network file system,
            belongs to another account, or is readable by other users; or the system is Windows.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        account: str | Secret,
        rate_limit: Rate | int | None = PUBLITRAC_RATE,
        in_flight: int | None = None,
        guard: float = GUARD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        sealed = seal(account, "account")
        # Error trackers record the local names of frames.
        del account
        (owner,) = all_sealed(sealed)
        rate = shared_rate(rate_limit, in_flight, guard)
        record = AccountFile(None if path is None else Path(path), owner, clock=clock)
        self._limiter: FileRateLimiter | Unlimited = Unlimited(clock=clock)
        if rate is not None:
            slots = None if in_flight is None else FileSlots(record.path, in_flight)
            self._limiter = FileRateLimiter(record, rate, guard=guard, slots=slots, clock=clock)
        self._tokens = FileTokenStore(record, clock=clock)
        self._record = record
        # The file was opened to check it. It opens again for its first use, so that an object without a use
        # leaves nothing open, such as that of a client whose constructor fails.
        record.close()

    @property
    def limiter(self) -> FileRateLimiter | Unlimited:
        """Rate limiter of the account."""
        return self._limiter

    @property
    def tokens(self) -> FileTokenStore:
        """Token store of the account."""
        return self._tokens

    async def aclose(self) -> None:
        """Close the file. Further use opens it again."""
        if isinstance(self._limiter, FileRateLimiter):
            await self._limiter.aclose()
        self._record.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"SharedFile({self._limiter!r})"
