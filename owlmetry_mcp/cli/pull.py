"""`owlmetry-mcp pull`: a live Owlmetry server's issues into a fresh store."""

from argparse import Namespace

import anyio

from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying.pulling import Pull, Terms
from owlmetry_mcp.carrying.report import Report
from owlmetry_mcp.cli.backends import warn_if_in_clear
from owlmetry_mcp.cli.carried import conclude
from owlmetry_mcp.cli.progress import Counting
from owlmetry_mcp.issues import times
from owlmetry_mcp.settings import Settings


def pull(parsed: Namespace, settings: Settings) -> None:
    since = None if parsed.events_since is None else times.parameter("--events-since", parsed.events_since)
    terms = Terms(settings.endpoint, parsed.project, since)
    warn_if_in_clear(settings.endpoint)
    with Store(settings.store) as store, Counting() as watch:
        watch.say(f"Pulling from {settings.endpoint} into {settings.store}.")

        async def pulled() -> Report:
            timeouts = Timeouts(settings.connect_timeout, settings.read_timeout, settings.call_timeout)
            backend = LiveBackend(Wire(settings.endpoint, settings.api_key or "", timeouts))
            try:
                return await Pull(store, backend, terms, watch).run()
            finally:
                await backend.aclose()

        report = anyio.run(pulled)
    conclude(report, as_json=parsed.json)
