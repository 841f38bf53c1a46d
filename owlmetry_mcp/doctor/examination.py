"""Everything that is looked at, side by side; whatever becomes of one look, the others go on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Thread

from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.configuration import settings
from owlmetry_mcp.doctor.entries import entries
from owlmetry_mcp.doctor.findings import GROUPS, STATES, Finding, State
from owlmetry_mcp.doctor.masking import masked, secrets_in
from owlmetry_mcp.doctor.round_trip import round_trip
from owlmetry_mcp.doctor.served import server
from owlmetry_mcp.doctor.stored import store
from owlmetry_mcp.doctor.versions import versions
from owlmetry_mcp.issues.quoting import on_a_line, short

Probe = Callable[[Case], Iterable[Finding]]

PROBES: Mapping[str, Probe] = {
    "settings": settings,
    "versions": versions,
    "store": store,
    "server": server,
    "clients": entries,
    "round-trip": round_trip,
}
_LONGEST = 1_500


def examine(case: Case, probes: Mapping[str, Probe] = PROBES) -> list[Finding]:
    """By their groups. Nothing in what is found is a secret, or steers a terminal."""
    found: dict[str, list[Finding]] = {name: [] for name in probes}
    # Daemons, so that an interrupt ends it at once: what they started ends with its standard input.
    looks = [Thread(target=_look, args=(case, name, probe, found[name]), daemon=True) for name, probe in probes.items()]
    for it in looks:
        it.start()
    for it in looks:
        it.join()
    everything = [finding for findings in found.values() for finding in findings]
    return [*_presentable(case, sorted(everything, key=lambda finding: GROUPS.index(finding.group)))]


def worst(findings: Iterable[Finding]) -> State:
    return max((finding.state for finding in findings), key=STATES.index, default="ok")


def _look(case: Case, name: str, probe: Probe, found: list[Finding]) -> None:
    try:
        for finding in probe(case):
            found.append(finding)  # noqa: PERF402 - one by one, so that what comes before a failure is kept
    except Exception as failure:  # noqa: BLE001 - the others are to be told, and no traceback
        error: BaseException = failure
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        what = f"it could not be looked at: {type(error).__name__}: {error}"
        found.append(Finding(f"{name}.failed", "broken", what, "This is a fault of owlmetry-mcp; please report it."))


def _presentable(case: Case, findings: Iterable[Finding]) -> Iterator[Finding]:
    secrets = [*secrets_in(case.machine.environment), case.loaded.settings.api_key or ""]
    for it in findings:
        what, remedy = (short(on_a_line(masked(text, secrets)), _LONGEST) for text in (it.what, it.remedy))
        yield Finding(it.subject, it.state, what, remedy)
