"""`owlmetry-mcp push`: the store's events and triage into a live Owlmetry server."""

from argparse import Namespace

import anyio

from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.backends.live.importing import Importer
from owlmetry_mcp.backends.store import outgoing
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying.pushing import Push, Terms
from owlmetry_mcp.carrying.report import Report
from owlmetry_mcp.cli.backends import existing_store, warn_if_in_clear
from owlmetry_mcp.cli.carried import conclude
from owlmetry_mcp.cli.progress import Counting
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.settings import Settings

MAX_WAIT_SECONDS = 3_600


def push(parsed: Namespace, settings: Settings) -> None:
    if not 0 <= parsed.wait <= MAX_WAIT_SECONDS:
        raise InvalidInputError(f"--wait must be a number of seconds from 0 to {MAX_WAIT_SECONDS}")
    terms = Terms(settings.endpoint, parsed.app, parsed.wait, parsed.dry_run)
    warn_if_in_clear(settings.endpoint)
    with existing_store(settings) as store, Counting() as watch:
        _refuse_own_keys(store, settings)

        async def carried() -> Report:
            timeouts = Timeouts(settings.connect_timeout, settings.read_timeout, settings.call_timeout)
            backend = LiveBackend(Wire(settings.endpoint, settings.api_key or "", timeouts))
            importer = settings.import_key and Importer(Wire(settings.endpoint, settings.import_key, timeouts))
            try:
                return await Push(store, backend, importer or None, terms, watch).run()
            finally:
                await backend.aclose()
                if importer:
                    await importer.aclose()

        report = anyio.run(carried)
    conclude(report, as_json=parsed.json, dry_run=parsed.dry_run)


def _refuse_own_keys(store: Store, settings: Settings) -> None:
    """A key of the store itself is of no use there, and is not to leave the machine.

    Raises:
        InvalidInputError: one is set.
    """
    for variable, secret in (("OWLMETRY_API_KEY", settings.api_key), ("OWLMETRY_IMPORT_KEY", settings.import_key)):
        if secret and store.read(lambda tx: outgoing.has_key(tx, secret)):  # noqa: B023 - called at once
            raise InvalidInputError(
                f"{variable} is a key of the store {settings.store} itself", "Set it to a key of the server's."
            )
