"""Address of an instance of Marketo."""

from __future__ import annotations

import re
from typing import Final

from publitrac_async.errors import ConfigurationError

_MUNCHKIN: Final = re.compile(r"\d{3}-[A-Za-z]{3}-\d{3}")
#: Marketo displays its addresses with these paths; every path begins with one of them.
_API: Final = re.compile(r"/(?:rest|identity|bulk)(?:/.*)?$")
#: A proxy may add a path before that of Marketo; Marketo adds none.
_STRAY_PATH: Final = re.compile(r"https?://[^/]*\.mktorest\.com/", re.IGNORECASE)


def host_of(base_url: str | None, munchkin_id: str | None) -> str:
    """Return the address of the instance, without the path that Marketo displays after it.

    Args:
        base_url: address of the instance.
        munchkin_id: id of the account, instead of `base_url`.

    Raises:
        ConfigurationError: both or neither are given, or the value is malformed.
    """
    if (base_url is None) == (munchkin_id is None):
        raise ConfigurationError("give either base_url or munchkin_id")
    if munchkin_id is not None:
        if not _MUNCHKIN.fullmatch(munchkin_id.strip()):
            raise ConfigurationError("munchkin_id must look like 123-ABC-456")
        return f"https://{munchkin_id.strip().lower()}.mktorest.com"
    assert base_url is not None
    host = _API.sub("", base_url.strip().rstrip("/")).rstrip("/")
    if _STRAY_PATH.match(host):
        raise ConfigurationError("base_url has a path that is not Marketo's: pass only https://host")
    # State stores compare addresses, so an instance must have one address regardless of case.
    scheme, separator, rest = host.partition("://")
    name, slash, path = rest.partition("/")
    return f"{scheme}{separator}{name.lower()}{slash}{path}"
