"""Shared file: times of the last departures, and the token; read and written under a lock."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import math
import os
import stat
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from attrs import define

from publitrac_async.errors import ConfigurationError, LimiterUnavailable
from publitrac_async.shared.file.places import locate, network_file_system
from publitrac_async.transport.secret import Secret

try:
    import fcntl
except ModuleNotFoundError:  # Windows.
    fcntl = cast("Any", None)

_MAGIC: Final = b"PTrShr\x00\x01"
#: Magic, boot, account; then the fields of `Header`.
_IDENTITY: Final = struct.Struct("<8s16s16s")
_FIELDS: Final = struct.Struct("<Qddd8s")
_TIME: Final = struct.Struct("<d")
#: Length, lifetime and expiry of the token.
_TOKEN: Final = struct.Struct("<Hdd")

#: Number of departures in the file; a limiter can count to one less.
DEPARTURES: Final = 512
_DEPARTURES_AT: Final = 4096
_TOKEN_AT: Final = 8192
_SIZE: Final = 16384

#: Seconds to wait for the lock. Other processes hold it for microseconds, longer only if they are suspended.
_LOCK_TIMEOUT: Final = 5.0
_LOCK_POLL: Final = 0.001
_DAMAGED: Final = "the shared file was damaged: delete it"
#: Bound for the number of departures: a damaged number plus one must still fit in its field.
_MOST_DEPARTED: Final = 2**60
#: Seconds. A longer pause is from another boot, on systems without an id of the boot.
_LONGEST_PAUSE: Final = 3600.0


@define
class Header:
    """Numbers that all processes share; times are monotonic seconds.

    Attributes:
        departed: number of departures.
        next_slot: time of the next departure to reserve.
        paused_until: end of a pause that the service asked for.
        lease_until: end of the lease of the process that requests a token.
        lease_owner: id of that process.
    """

    departed: int = 0
    next_slot: float = 0.0
    paused_until: float = 0.0
    lease_until: float = 0.0
    lease_owner: bytes = b""


class AccountFile:
    """Shared file of one account on this host.

    Every process opens the file again after a fork, or if it was deleted.

    Args:
        path: path of a file or folder, ``None`` for a private folder in the folder for temporary files.
        account: owner of the limit.
        clock: monotonic seconds, the same for all processes of the host.

    Raises:
        ConfigurationError: the file cannot be used, is on a network file system, belongs to another account,
            or is open to other users; or the system has no such locks (Windows).
    """

    def __init__(
        self, path: Path | None, account: Secret, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if fcntl is None:
            raise ConfigurationError("this system cannot share through a file: use a Redis URL")
        self.clock = clock
        self._account = _hash(account.reveal(), 16)
        self._default = path is None
        #: The file.
        self.path: Path = locate(path, self._account.hex())
        self._boot = boot()
        self._fd = -1
        self._process = -1
        self._thread_lock = threading.Lock()
        self._open()

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[Header]:
        """Hold the lock, and write the header at the end. The block must not await anything.

        Raises:
            LimiterUnavailable: the file cannot be read or written.
        """
        end = time.monotonic() + _LOCK_TIMEOUT
        while not self._lock():
            if time.monotonic() > end:
                raise LimiterUnavailable(
                    "another process holds the shared file for more than 5 s", retry_after=1.0
                )
            await asyncio.sleep(_LOCK_POLL)
        with self._held():
            header = self._read()
            yield header
            self._write(header)

    def departure(self, number: int) -> float:
        """Return the time of a departure. Call it with the lock held."""
        (moment,) = _TIME.unpack(self._pread(_TIME.size, _position(number)))
        if not math.isfinite(moment):
            # Damaged: assume that a request was sent now.
            moment = self.clock()
            self.record_departure(number, moment)
        return float(moment)

    def record_departure(self, number: int, moment: float) -> None:
        """Write the time of a departure; the same process may correct it without the lock."""
        _pwrite(self._fd, _TIME.pack(moment), _position(number))

    def correct_departure(self, number: int, moment: float) -> None:
        """Correct the time of a departure of this process."""
        if self._process == os.getpid():
            with contextlib.suppress(OSError):
                self.record_departure(number, moment)

    def read_token(self) -> tuple[bytes, float, float] | None:
        """Return value, lifetime in seconds and expiry of the token. Call it with the lock held."""
        length, life, end = _TOKEN.unpack(self._pread(_TOKEN.size, _TOKEN_AT))
        if not 0 < length <= _SIZE - _TOKEN_AT - _TOKEN.size:
            return None
        return self._pread(length, _TOKEN_AT + _TOKEN.size), life, end

    def write_token(self, value: bytes, life: float, end: float) -> None:
        """Write the token, or an empty value. Call it with the lock held."""
        _pwrite(self._fd, _TOKEN.pack(len(value), life, end) + value, _TOKEN_AT)

    def _pread(self, length: int, at: int) -> bytes:
        content = os.pread(self._fd, length, at)
        if len(content) != length:
            raise LimiterUnavailable(_DAMAGED)
        return content

    def close(self) -> None:
        """Close the file. It opens again when it is used."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lock(self) -> bool:
        """Try to lock the file that the path names now."""
        try:
            if self._process != os.getpid():
                # After a fork, both processes would hold the lock of the other: open the file again.
                self._thread_lock = threading.Lock()
                self._open()
            elif self._fd < 0 or self._replaced():
                self._open()
            if not self._thread_lock.acquire(blocking=False):
                return False
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException:
                self._thread_lock.release()
                raise
        except BlockingIOError:
            return False
        except OSError as error:
            failure = _unavailable(error)
        except ConfigurationError as error:
            failure = LimiterUnavailable(error.message, retry_after=1.0)
        else:
            return True
        raise failure

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        failure: LimiterUnavailable
        try:
            yield
            return
        except OSError as error:
            failure = _unavailable(error)
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._thread_lock.release()
        raise failure

    def _replaced(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return True
        here = os.fstat(self._fd)
        return (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev)

    def _open(self) -> None:
        self.close()
        if self._default:
            # The system may have deleted the folder, if it was unused for days.
            locate(None, self._account.hex())
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the shared file cannot be opened: {error.strerror}") from None
        self._fd = fd
        try:
            self._check(fd)
            self._begin(fd)
        except BaseException:
            self.close()
            raise
        self._process = os.getpid()

    def _check(self, fd: int) -> None:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError("the shared file is not a regular file: name another path")
        if found.st_mode & 0o007:
            raise ConfigurationError("the shared file has a token, but is open to all users: chmod 600")
        kind = network_file_system(self.path, found.st_dev)
        if kind is not None:
            raise ConfigurationError(
                f"the shared file is on a network file system ({kind}): name a local path, or use Redis"
            )

    def _begin(self, fd: int) -> None:
        """Initialize the file; or check its account, and reset times from before a reboot."""
        _lock_file(fd)
        try:
            content = os.pread(fd, _SIZE, 0)
            magic, boot_id, account = _IDENTITY.unpack(content[: _IDENTITY.size].ljust(_IDENTITY.size, b"\0"))
            used = bool(content.strip(b"\0"))  # All zeros if a process was killed before it wrote.
            if used and magic != _MAGIC:
                raise ConfigurationError("the path has a file of another program: name another path")
            if used and account != self._account:
                raise ConfigurationError("the shared file belongs to another account: name another path")
            if len(content) != _SIZE or boot_id != self._boot:
                identity = _IDENTITY.pack(_MAGIC, self._boot, self._account)
                _pwrite(fd, identity.ljust(_SIZE, b"\0"), 0)
        except OSError as error:
            raise ConfigurationError(f"the shared file cannot be used: {error.strerror}") from None
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _read(self) -> Header:
        content = os.pread(self._fd, _IDENTITY.size + _FIELDS.size, 0)
        if len(content) != _IDENTITY.size + _FIELDS.size or content[:8] != _MAGIC:
            raise LimiterUnavailable(_DAMAGED)
        if _IDENTITY.unpack_from(content)[1] != self._boot:
            # This process has opened the file with the id of its own boot.
            raise LimiterUnavailable("another machine writes to the shared file: use Redis")
        header = Header(*_FIELDS.unpack_from(content, _IDENTITY.size))
        header.departed %= _MOST_DEPARTED
        if not (header.paused_until <= self.clock() + _LONGEST_PAUSE):  # Also true for NaN.
            header.paused_until = 0.0
        return header

    def _write(self, header: Header) -> None:
        fields = _FIELDS.pack(
            header.departed, header.next_slot, header.paused_until, header.lease_until, header.lease_owner
        )
        _pwrite(self._fd, fields, _IDENTITY.size)

    def __repr__(self) -> str:
        return f"AccountFile({self.path})"


def boot() -> bytes:
    """Return an id of the monotonic clock: times of another boot or time namespace are meaningless."""
    text = ""
    # Without Linux, times from before a reboot are recognized because they are in the future.
    with contextlib.suppress(OSError):
        text += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    with contextlib.suppress(OSError):
        text += str(Path("/proc/self/ns/time").readlink())
    return _hash(text, 16)


def _pwrite(fd: int, content: bytes, at: int) -> None:
    if os.pwrite(fd, content, at) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hash(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=size, person=b"publitrac_async").digest()


def _position(number: int) -> int:
    return _DEPARTURES_AT + number % DEPARTURES * _TIME.size


def _lock_file(fd: int) -> None:
    end = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ConfigurationError(
                    "another process has locked the shared file for more than 5 s: end it"
                ) from None
            time.sleep(_LOCK_POLL)
        except OSError as error:
            raise ConfigurationError(f"the shared file cannot be locked: {error.strerror}") from None
        else:
            return


def _unavailable(error: OSError) -> LimiterUnavailable:
    return LimiterUnavailable(
        f"the rate limiter in the shared file is unavailable ({error.strerror})", retry_after=1.0
    )
