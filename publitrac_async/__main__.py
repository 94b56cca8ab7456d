"""``python -m publitrac_async``: the command line, if its extra is installed."""

from __future__ import annotations

import sys
from typing import Final

_EXTRA: Final = frozenset({"click", "rich"})


def main() -> None:
    """Run the command line. Without the extra `cli`, print how to install it and exit with 2."""
    try:
        from publitrac_async.cli.commands import cli  # noqa: PLC0415  (the extra may be missing)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print("The command line needs an extra: pip install 'publitrac_async[cli]'", file=sys.stderr)  # noqa: T201  (this is a command)
        sys.exit(2)
    cli()


if __name__ == "__main__":
    main()
