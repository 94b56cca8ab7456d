"""Where an export goes: standard output, or a file that is never half of one and half of another."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from publitrac_async.cli.exits import CommandError


class Target:
    """Where an export goes.

    Attributes:
        name: for messages.
        file: to write to.
    """

    name: str
    file: IO[bytes]

    def finish(self) -> None:
        """The export is whole."""

    def keep(self) -> str:
        """It is not whole, but what there is shall be kept. Says where that is."""
        self.finish()
        return self.name

    def discard(self) -> None:
        """Nothing of it shall be kept, unless `finish` or `keep` came before."""


class StandardOutput(Target):
    """For pipes."""

    name = "standard output"

    def __init__(self) -> None:
        self.file: IO[bytes] = sys.stdout.buffer

    def finish(self) -> None:
        """Write what is still held back."""
        self.file.flush()

    def discard(self) -> None:
        """Forget what is still held back."""
        # What could not be written would be tried again when Python ends.
        with suppress(OSError):
            self.file.flush()
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class NewFile(Target):
    """A file that takes the place of an old one only when it is whole; until then it is ``NAME.part.csv``."""

    def __init__(self, path: Path) -> None:
        self.name: str = path.name
        self._path = path
        self._settled = False
        self._part = path.with_name(f"{path.stem}.part{path.suffix}")
        try:
            # It holds personal data: it is for nobody else to read.
            self.file: IO[bytes] = open(self._part, "xb", opener=_private)  # noqa: SIM115  (closed by the caller's verdict)
        except FileExistsError:
            message = f"{self._part.name} is there from an export that did not end: move or remove it"
            raise CommandError(message) from None
        except OSError as error:
            raise CommandError(f"{self.name} cannot be written: {error.strerror}") from None

    def finish(self) -> None:
        """Put it in place of an older one."""
        self.file.close()
        self._settled = True
        self._part.replace(self._path)

    def keep(self) -> str:
        """Leave it under its temporary name."""
        self.file.close()
        self._settled = True
        return self._part.name

    def discard(self) -> None:
        """Remove it."""
        if not self._settled:
            with suppress(OSError):
                self.file.close()
            self._part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
