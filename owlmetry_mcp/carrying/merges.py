"""Merges that were made here, made there: only where it is sure, since none can be undone."""

from collections.abc import Mapping

from owlmetry_mcp.backends.store.carried import Known
from owlmetry_mcp.backends.store.outgoing import OutgoingIssue
from owlmetry_mcp.carrying.counterparts import Counterparts
from owlmetry_mcp.issues.models import Issue


def doubt(
    issue: OutgoingIssue, target: Issue, source: Issue, pairs: Counterparts, known: Mapping[str, Known]
) -> str | None:
    """Why two issues there that are one here are not to be merged; None: they are."""
    fingerprints = {mark.fingerprint for mark in issue.marks}
    if issue.merged.isdisjoint(source.fingerprints):
        return "the server holds them apart, and no one merged them here"
    if not fingerprints.issuperset(source.fingerprints):
        return "the one there has more in it than was merged here"
    if len(pairs.sharers(target.id)) > 1 or len(pairs.sharers(source.id)) > 1:
        return "there they are also of another issue of this store"
    if target.project_id != source.project_id:
        return "they are of different projects there"
    if not _is_as_known(source, known.get(source.id)):
        return f"someone moved it to {source.status} there, which a merge would lose"
    return None


def _is_as_known(issue: Issue, known: Known | None) -> bool:
    left_at = {"new"} if known is None else {"new", known.status, known.sent_status}
    return issue.status in left_at
