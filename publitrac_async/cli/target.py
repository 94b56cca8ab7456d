"""Targets of leads and rows: standard output, or a file that is replaced only when complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.exits import CommandError


class Target:
    """Target of an export.

    Attributes:
        name: name in messages.
        file: file to write to.
    """

    name: str
    file: IO[bytes]

    def finish(self) -> None:
        """Complete the export."""

    def keep(self) -> str:
        """Keep an incomplete export; return its location."""
        self.finish()
        return self.name

    def discard(self) -> None:
        """Discard the export, unless `finish` or `keep` was called."""


class StandardOutput(Target):
    """Target for pipes."""

    name = "standard output"

    def __init__(self) -> None:
        self.file: IO[bytes] = sys.stdout.buffer

    def finish(self) -> None:
        """Write the buffered data."""
        self.file.flush()

    def discard(self) -> None:
        """Discard the buffered data."""
        # Otherwise Python would try to write it again at exit.
        with suppress(OSError):
            self.file.flush()
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class NewFile(Target):
    """File that replaces an old one only when complete; until then it is ``NAME.part.csv``."""

    def __init__(self, path: Path) -> None:
        self.name: str = path.name
        self._path = path
        self._is_final = False
        self._part = path.with_name(f"{path.stem}.part{path.suffix}")
        try:
            # It holds personal data: other users must not read it.
            self.file: IO[bytes] = open(self._part, "xb", opener=_private)  # noqa: SIM115  (closed by `finish`, `keep` or `discard`)
        except FileExistsError:
            message = f"{self._part.name} is left over from an interrupted export: move or remove it"
            raise CommandError(message) from None
        except OSError as error:
            raise CommandError(f"{self.name} cannot be written: {error.strerror}") from None

    def finish(self) -> None:
        """Replace the old file."""
        self.file.close()
        self._part.replace(self._path)
        self._is_final = True

    def keep(self) -> str:
        """Keep the file under its temporary name."""
        self.file.close()
        self._is_final = True
        return self._part.name

    def discard(self) -> None:
        """Remove the file."""
        if not self._is_final:
            with suppress(OSError):
                self.file.close()
            self._part.unlink(missing_ok=True)


@contextmanager
def opened(file: str) -> Iterator[Target]:
    """Open a target, and discard it unless it was completed or kept.

    Args:
        file: path of a file, ``-`` for standard output.

    Raises:
        CommandError: the target cannot be written.
    """
    target = StandardOutput() if file == "-" else NewFile(Path(file))
    try:
        yield target
    except BrokenPipeError:
        raise CommandError("the reader of the output closed it early", ExitStatus.ABORTED) from None
    except OSError as error:
        message = f"{target.name} cannot be written: {error.strerror}"
        raise CommandError(message, ExitStatus.ABORTED) from None
    finally:
        target.discard()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
