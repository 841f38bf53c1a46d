"""The backends that the settings name, opened for whoever is to act."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from owlmetry_mcp.issues.errors import StoreError
from owlmetry_mcp.settings import Settings, crosses_network_in_clear

if TYPE_CHECKING:  # one backend is used, and a server that starts loads no more than it needs
    from owlmetry_mcp.backends.base import Backend, BackendOpener
    from owlmetry_mcp.backends.live import LiveBackend
    from owlmetry_mcp.backends.store.store import Store


def embedded(settings: Settings) -> "tuple[BackendOpener, Callable[[], None]]":
    """For agents: each acts by the key of the settings, else by a local key that is named after it."""
    from owlmetry_mcp.backends.store.store import Store  # noqa: PLC0415 - see above

    store = Store(settings.store)

    def open_backend(client_name: str | None) -> "Backend":
        from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_agent  # noqa: PLC0415 - calls need it

        if settings.api_key is not None:
            return acting_as(store, settings.api_key)
        return acting_as_local_agent(store, settings.agent_name or client_name)

    return open_backend, store.close


def live(settings: Settings) -> "tuple[BackendOpener, Callable[[], None]]":
    backend = _live(settings)
    return lambda _: backend, lambda: None  # the process ends with its connections


def _live(settings: Settings) -> "LiveBackend":
    from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire  # noqa: PLC0415 - see above

    warn_if_in_clear(settings.endpoint)
    timeouts = Timeouts(settings.connect_timeout, settings.read_timeout, settings.call_timeout)
    return LiveBackend(Wire(settings.endpoint, settings.api_key or "", timeouts))


def warn_if_in_clear(endpoint: str) -> None:
    if crosses_network_in_clear(endpoint):
        print(
            f"owlmetry-mcp: warning: {endpoint} is not encrypted; whoever listens on the way reads the key.",
            file=sys.stderr,
        )


@asynccontextmanager
async def for_a_person(settings: Settings) -> "AsyncIterator[Backend]":
    """For whoever is at the command line, who acts by the key or token of the settings, else as a local user.

    Raises:
        StoreError: there is no store; none is made to be looked at.
    """
    if settings.backend == "live":
        backend = _live(settings)
        try:
            yield backend
        finally:
            await backend.aclose()
        return
    from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_user  # noqa: PLC0415 - see above

    with existing_store(settings) as store:
        if settings.api_key is not None:
            yield acting_as(store, settings.api_key)
        else:
            yield acting_as_local_user(store, _login())


def existing_store(settings: Settings) -> "Store":
    """
    Raises:
        StoreError: there is none, or it cannot be used.
    """
    from owlmetry_mcp.backends.store.store import Store  # noqa: PLC0415 - see above

    if not settings.store.exists():
        raise StoreError(
            f"There is no store {settings.store}",
            "An agent's first start makes it, or `owlmetry-mcp ingest`; --store names another.",
        )
    return Store(settings.store)


def _login() -> str:
    import getpass  # noqa: PLC0415 - slow to load, and agents have no login

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # of a user without a name, as in some containers
        return ""
