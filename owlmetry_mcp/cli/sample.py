"""The demo's issues in the person's own store, so that there is something to triage from the first minute."""

import anyio

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli import demo_data
from owlmetry_mcp.settings import Settings

PROJECT = "Sample bookshop"


def fill(settings: Settings) -> str:
    """What was done, as a sentence. A store that has seen errors, be they sample ones, is left alone."""
    with Store(settings.store) as store:
        if not store.write(_add_project):
            return f"The store {settings.store} has seen errors already, so no sample was added."
        anyio.run(demo_data.happen, store)
    return f"Put sample issues in the project {PROJECT} of the store {settings.store}."


def _add_project(tx: Transaction) -> bool:
    """Whether there is one now, made just now or in an attempt that got no further."""
    if administration.has_seen_errors(tx):
        return False
    if PROJECT not in (project.name for project in administration.list_projects(tx)):
        demo_data.add_project(tx, administration.find_team(tx, None).key, PROJECT)
    return True
