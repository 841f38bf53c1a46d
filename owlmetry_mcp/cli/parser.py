"""The commands and their flags. What a command does is imported when it runs, so that `serve` starts fast."""

import gc
from argparse import (
    SUPPRESS,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
    _ActionsContainer,
    _SubParsersAction,
)
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, get_args

from owlmetry_mcp import __version__
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import DataMode, KeyType, Platform, Role
from owlmetry_mcp.settings import Loaded, Settings

CLIENT_NAMES = (
    "claude-code", "claude-desktop", "cursor", "vscode", "windsurf", "zed", "codex", "gemini", "opencode",
)  # fmt: skip
"""As the table of clients has them, which is only imported by what needs it."""

Commands = _SubParsersAction  # argparse has no public name for what add_subparsers() returns
Run = Callable[[Namespace, Any], None]
"""The second are the Settings; for a command that looks at settings, though they be wrong, as they were Loaded."""
_SERVE, _DOCTOR = "serve.serve", "doctor.doctor"

MOVABLE = tuple(status for status in STATUSES if status != "regressed")
"""Where a caller may move an issue; the scan alone makes one regressed."""

_ID = "an issue's id, or its first 8 characters or more"
_STATUSES = f"{', '.join(STATUSES)}; repeatable"
_DESCRIPTION = """\
Issue triage for coding agents: an MCP server over Owlmetry's issues.

Without a command it is the server itself, for an MCP client to start and to talk to over standard input and output.
`install` adds it to a client, `doctor` says what does not work, `issues` and `log` show what agents did; the others
look after the store that it serves.
"""


def parser(arguments: Sequence[str] | None = None) -> ArgumentParser:
    """With all commands; for arguments that cannot ask for another, with `serve` alone, since all of them take long."""
    store, log, backend, server = _store_flag(), _log_flag(), _backend_flags(), _server_flags()
    whole = ArgumentParser(
        "owlmetry-mcp",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
        parents=[store, backend, server, log],
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"owlmetry-mcp {__version__}")
    whole.set_defaults(run=_lazily(_SERVE), command=_SERVE, serves=True)
    commands = whole.add_subparsers(title="commands", metavar="COMMAND")

    _serve_command(commands, store, backend, server, log)
    if arguments is not None and (not arguments or arguments[0] == "serve"):
        return whole
    team = _team_flag()
    _client_commands(commands, store, backend, server, log)
    _command(commands, "demo", "demo.demo", "watch an agent triage a small store of its own, over the real server")

    api = _command(commands, "api", "api.api", "serve the issues API over HTTP, from the store", store, log)
    _listening_flags(api, 4000)

    _issue_commands(commands, store, backend)
    bundle = _command(
        commands, "bundle", "bundle.bundle", "make an MCP bundle, which Claude Desktop installs by a click"
    )
    bundle.add_argument("--output", metavar="FILE", help="replaced if it is there (default: owlmetry-mcp-VERSION.mcpb)")

    _event_commands(commands, store)
    _key_commands(commands, store, team)

    users = _group(commands, "users", "the people of a store's teams")
    add_user = _command(users, "add", "administer.add_user", "add a person to a team", store, team)
    add_user.add_argument("email", metavar="EMAIL")
    add_user.add_argument("--name", required=True)
    add_user.add_argument("--role", required=True, choices=get_args(Role))

    token = _command(commands, "token", "administer.token", "print a JWT for a user", store)
    token.add_argument("email", metavar="EMAIL")
    token.add_argument("--expires", type=int, metavar="DAYS", default=30, help="valid for so many days (default: 30)")

    projects = _group(commands, "projects", "the projects of a store")
    add_project = _command(projects, "add", "administer.add_project", "add a project", store, team)
    add_project.add_argument("name", metavar="NAME")
    add_project.add_argument("--slug", help="its short name (default: made from NAME)")
    _command(projects, "list", "administer.list_projects", "show the projects and their apps", store)

    apps = _group(commands, "apps", "the apps of a store's projects")
    add_app = _command(apps, "add", "administer.add_app", "add an app to a project", store, team)
    add_app.add_argument("name", metavar="NAME")
    add_app.add_argument("--platform", required=True, choices=get_args(Platform))
    add_app.add_argument("--project", help="its id, slug or name (default: the team's first)")
    add_app.add_argument("--bundle-id", help="what the app's events must name, where they name one")

    _copy_commands(commands, store)
    _carrying_commands(commands, store)
    return whole


def _client_commands(commands: "Commands[ArgumentParser]", *settings: ArgumentParser) -> None:
    where = ArgumentParser(add_help=False)
    where.add_argument(
        "--scope", choices=("user", "project"), default="user", help="for all projects, or for this directory"
    )
    where.add_argument("--name", default="owlmetry", help="what the client calls the server (default: owlmetry)")
    where.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    where.add_argument("--force", action="store_true", help="even if the name is that of another server's entry")
    summary = "add the server to an MCP client, with the settings given here and in the environment"
    install = _command(commands, "install", "install.install", summary, where, *settings)
    install.add_argument(
        "client",
        metavar="CLIENT",
        nargs="?",
        choices=CLIENT_NAMES,
        help=f"{', '.join(CLIENT_NAMES)}; without one, they are listed",
    )
    install.add_argument(
        "--key-in-file",
        action="store_true",
        help="write OWLMETRY_API_KEY itself, where the client cannot take it from the environment",
    )
    install.add_argument("--sample", action="store_true", help="put sample issues in the store, if it has none yet")
    uninstall = _command(commands, "uninstall", "install.uninstall", "take the server out of an MCP client", where)
    uninstall.add_argument("client", metavar="CLIENT", choices=CLIENT_NAMES, help=", ".join(CLIENT_NAMES))
    summary = "look at all there is, and say what is broken and what to do"
    doctor = _command(commands, "doctor", _DOCTOR, summary, *settings)
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.add_argument(
        "--start-project-entries", action="store_true", help="start what this directory's files name, too"
    )


def _serve_command(commands: "Commands[ArgumentParser]", *flags: ArgumentParser) -> None:
    summary = "serve MCP over standard input and output (the default), or HTTP"
    serve = _command(commands, "serve", _SERVE, summary, *flags)
    serve.add_argument("--http", action="store_true", help="serve it over HTTP, to whoever comes with a key")
    _listening_flags(serve.add_argument_group("with --http"), 4001)
    serve.add_argument("--workers", type=int, metavar="N", help="with --http: so many processes (default: 1)")


def _copy_commands(commands: "Commands[ArgumentParser]", store: ArgumentParser) -> None:
    import_ = _command(commands, "import", "transfer.import_file", "add all that a JSON document holds, or none", store)
    import_.add_argument("file", metavar="FILE", help="- for standard input")
    export = _command(commands, "export", "transfer.export_file", "write the whole store as a JSON document", store)
    export.add_argument("file", metavar="FILE", help="- for standard output")
    backup = _command(commands, "backup", "backup.backup", "copy the store to a file, while it is in use", store)
    backup.add_argument("file", metavar="FILE", help="the copy: a store itself, which --store can name")
    backup.add_argument("--force", action="store_true", help="replace FILE if there is one")
    check = _command(commands, "check", "check.check", "verify the store; exits with 1 if something is wrong", store)
    check.add_argument("--repair", action="store_true", help="mend wrong counts of issues, and nothing else")


def _issue_commands(commands: "Commands[ArgumentParser]", store: ArgumentParser, backend: ArgumentParser) -> None:
    shared = ArgumentParser(add_help=False)
    shared.add_argument(
        "--project", metavar="PROJECT", help="its id, name or slug (default: OWLMETRY_PROJECT_ID, or any)"
    )
    shared.add_argument("--json", action="store_true", help="one JSON document, in the field names of the issues API")
    issues = _group(commands, "issues", "look at issues, and triage them by hand; in the store, or on a live server")
    flags = (store, backend, shared)

    shown = _command(issues, "list", "issues.list_issues", "show issues, most recently seen first", *flags)
    shown.add_argument("--status", action="append", choices=STATUSES, metavar="STATUS", help=_STATUSES)
    shown.add_argument("--app", metavar="NAME|ID", help="of this app alone")
    shown.add_argument(
        "--data-mode",
        choices=get_args(DataMode),
        help="what kind of builds they are of (default: all of one project, production across projects)",
    )
    shown.add_argument("--limit", type=_count, metavar="N", help="so many, at most 200 (default: 50)")
    further = shown.add_mutually_exclusive_group()
    further.add_argument("--cursor", metavar="CURSOR", help="go on where a list before ended")
    further.add_argument("--all", action="store_true", help="all there are")

    one = _command(issues, "show", "issues.show", "show one issue: its occurrences, its comments, what failed", *flags)
    one.add_argument("issue", metavar="ID", help=_ID)
    one.add_argument("--events", action="store_true", help="the latest event whole: its attributes, all of its trace")

    status = _command(issues, "status", "issues.status", "move issues to a status", *flags)
    status.add_argument("issues", metavar="ID", nargs="+", help=_ID)
    status.add_argument("status", metavar="STATUS", choices=MOVABLE, help=", ".join(MOVABLE))
    status.add_argument("--version", metavar="VERSION", help="the app's version with the fix; for resolved")
    status.add_argument("--comment", metavar="TEXT", help="posted on each issue that was moved")

    merge = _command(issues, "merge", "issues.merge", "merge issues into one; it cannot be undone", *flags)
    merge.add_argument("target", metavar="TARGET", help=f"survives; {_ID}")
    merge.add_argument("sources", metavar="SOURCE", nargs="+", help="is deleted; all of it moves to TARGET")
    merge.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal to ask on")

    comment = _command(issues, "comment", "issues.comment", "comment on an issue", *flags)
    comment.add_argument("issue", metavar="ID", help=_ID)
    comment.add_argument("text", metavar="TEXT", help="Markdown; - for standard input")
    for command, document in (
        (shown, '{"issues": […], "cursor": …, "has_more": …}, as GET /v1/issues answers.'),
        (one, "the issue, as GET /v1/projects/…/issues/… answers, with its summary and its latest_event."),
        (status, '{"results": […]}, for each ID as issue_id the issue and the comment, or an error.'),
        (merge, '{"target": the issue, "results": […]}, for each SOURCE as source_issue_id merged, or an error.'),
        (comment, "the comment, as the API answers."),
    ):
        command.set_defaults(serves=True)
        command.epilog = f"With --json, standard output is {document} Errors go to standard error."

    log = _command(commands, "log", "log.log", "show who did what in the store, the latest first", store)
    log.add_argument("--limit", type=_count, metavar="N", default=50, help="so many (default: 50)")
    log.add_argument("--cursor", metavar="CURSOR", help="go on where a log before ended")
    log.add_argument("--issue", metavar="ID", help=f"what was done to this issue; {_ID}")
    log.add_argument(
        "--by", metavar="NAME", help="what was done by this agent or person, by name or id; or by `operator`"
    )
    log.add_argument("--since", metavar="TIME", help="2026-10-21, 2026-10-21T12:00Z, or how long ago: 30m, 12h, 2d")
    log.add_argument("--action", action="append", metavar="ACTION", help="issue.status, comment, …; repeatable")
    log.add_argument("--json", action="store_true", help="one JSON document, instants in UTC")
    log.epilog = (
        'With --json, standard output is {"entries": […], "cursor": …, "has_more": …}; an entry has at, actor_type'
        " (agent, user, operator), actor_id (the key's or the user's), actor_name, action, subject_id and detail."
        " What a command on the store's machine sets up, and what the store makes of its own, is the operator's."
    )


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text[:9]) >= 1:
        return int(text[:9])
    raise ArgumentTypeError("it must be a whole number, 1 or more")


def _carrying_commands(commands: "Commands[ArgumentParser]", store: ArgumentParser) -> None:
    """What they need of a server is found as `serve` finds it for a live backend, whatever the store."""
    push = _command(commands, "push", "push.push", "carry the store's events and triage to a live server", store)
    push.add_argument("--to", required=True, metavar="ENDPOINT", dest="endpoint", help="the Owlmetry server")
    push.add_argument("--app", metavar="NAME|ID", help="the app to carry (default: the only one with any events)")
    push.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        default=120.0,
        help="for the server to make issues of the events (default: 120)",
    )
    push.add_argument("--dry-run", action="store_true", help="say what would be carried, and carry nothing")
    pull = _command(commands, "pull", "pull.pull", "take a live server's issues into a fresh store", store)
    pull.add_argument("--from", metavar="ENDPOINT", dest="endpoint", help="the Owlmetry server (OWLMETRY_ENDPOINT)")
    pull.add_argument("--project", metavar="NAME|ID", help="this project alone (default: all)")
    pull.add_argument(
        "--events-since", metavar="INSTANT", help="of earlier occurrences no events (default: those of all)"
    )
    push.epilog = (
        "OWLMETRY_API_KEY has an agent key of the server's (or Owlmetry's own config file has), and"
        " OWLMETRY_IMPORT_KEY, for events, an import key of the app that they are to go to. It can be cut and run"
        " again."
    )
    pull.epilog = (
        "OWLMETRY_API_KEY has an agent key of the server's (or Owlmetry's own config file has). It can be cut and run"
        " again."
    )
    for command, flag in ((push, "--to"), (pull, "--from")):
        command.add_argument("--json", action="store_true", help="the report as a JSON document")
        command.set_defaults(serves=True, backend="live", flag_names={"endpoint": flag})


def _event_commands(commands: "Commands[ArgumentParser]", store: ArgumentParser) -> None:
    ingest = _command(commands, "ingest", "ingest.ingest", "take in a file of error events, and scan them", store)
    ingest.add_argument("file", metavar="FILE", help="- for standard input")
    ingest.add_argument("--app", metavar="NAME|ID", help="whose events they are (default: the store's only app)")
    ingest.add_argument(
        "--format",
        choices=("json-lines", "python-logging", "otlp-json"),
        default="json-lines",
        help="what the file holds (default: json-lines)",
    )
    ingest.add_argument("--strict", action="store_true", help="stop at the first bad line instead of leaving it out")
    _command(commands, "scan", "scan.scan", "make issues of the events that have yet to be scanned", store)
    prune = _command(commands, "prune", "scan.prune", "forget old events; issues stay as they are", store)
    prune.add_argument(
        "--events-older-than",
        type=int,
        metavar="DAYS",
        required=True,
        dest="days",
        help="by when they happened, as they say; they stay known, and do not come again",
    )


def _key_commands(commands: "Commands[ArgumentParser]", store: ArgumentParser, team: ArgumentParser) -> None:
    keys = _group(commands, "keys", "the API keys of a store")
    create = _command(keys, "create", "administer.create_key", "make an API key; prints its secret, once", store, team)
    create.add_argument("--name", required=True, help="what it is called; an agent's comments are signed with it")
    create.add_argument(
        "--type",
        choices=get_args(KeyType),
        default="agent",
        help="client and import keys send the events of an app (default: agent)",
    )
    create.add_argument("--app", metavar="NAME|ID", help="of a client or import key (default: the store's only app)")
    create.add_argument("--read-only", dest="reads", action="store_true", help="may list and read, and change nothing")
    create.add_argument("--expires", type=int, metavar="DAYS", help="valid for so many days (default: for good)")
    _command(keys, "list", "administer.list_keys", "show the keys, without their secrets", store)
    revoke = _command(keys, "revoke", "administer.revoke_key", "make a key invalid for good", store)
    revoke.add_argument("key", metavar="KEY", help="the key's id or name")


def _group(commands: "Commands[ArgumentParser]", name: str, summary: str) -> "Commands[ArgumentParser]":
    group = commands.add_parser(name, help=summary, description=_sentence(summary), allow_abbrev=False)
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _command(
    commands: "Commands[ArgumentParser]", name: str, function: str, summary: str, *flags: ArgumentParser
) -> ArgumentParser:
    command = commands.add_parser(name, help=summary, description=_sentence(summary), parents=flags, allow_abbrev=False)
    command.set_defaults(run=_lazily(function), command=function, serves=function in (_SERVE, _DOCTOR))
    return command


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _lazily(function: str) -> Run:
    module, name = function.split(".")

    def run(parsed: Namespace, settings: Settings | Loaded) -> None:
        command = getattr(import_module(f"owlmetry_mcp.cli.{module}"), name)
        gc.freeze()
        gc.enable()
        command(parsed, settings)

    return run


# Flags shared by commands. SUPPRESS: `--store X keys list` is not undone by the default of `keys list --store`.


def _store_flag() -> ArgumentParser:
    flags = ArgumentParser(add_help=False)
    flags.add_argument("--store", metavar="PATH", default=SUPPRESS, help="the store's file (OWLMETRY_STORE)")
    return flags


def _backend_flags() -> ArgumentParser:
    return _flags(
        ("--backend", "NAME", "where the issues are: store or live (OWLMETRY_BACKEND)"),
        ("--endpoint", "URL", "the Owlmetry server of the live backend (OWLMETRY_ENDPOINT)"),
        ("--team", "TEAM", "whose key to take from Owlmetry's own config file (OWLMETRY_TEAM)"),
        ("--connect-timeout", "SECONDS", "for a connection to it (OWLMETRY_CONNECT_TIMEOUT)"),
        ("--read-timeout", "SECONDS", "for one answer of it (OWLMETRY_READ_TIMEOUT)"),
        ("--call-timeout", "SECONDS", "for a whole call, with all its attempts (OWLMETRY_CALL_TIMEOUT)"),
    )


def _server_flags() -> ArgumentParser:
    flags = _flags(
        ("--project-id", "PROJECT", "the project meant where none is named: id, name or slug (OWLMETRY_PROJECT_ID)"),
        ("--agent-name", "NAME", "whom the agent acts as where it has no key (OWLMETRY_AGENT_NAME)"),
        ("--tools", "NAMES", "offer these tools alone, with commas between them (OWLMETRY_TOOLS)"),
        ("--confirm", "WHEN", "ask a person before merge and delete_comment: auto, always, never (OWLMETRY_CONFIRM)"),
        ("--max-result-bytes", "BYTES", "no result is longer (OWLMETRY_MAX_RESULT_BYTES)"),
    )
    summary = "offer no tool that writes (OWLMETRY_READ_ONLY)"
    flags.add_argument("--read-only", action="store_const", const="true", default=SUPPRESS, help=summary)
    return flags


def _flags(*rows: tuple[str, str, str]) -> ArgumentParser:
    flags = ArgumentParser(add_help=False)
    for flag, metavar, summary in rows:
        flags.add_argument(flag, metavar=metavar, default=SUPPRESS, help=summary)
    return flags


def _listening_flags(flags: _ActionsContainer, port: int) -> None:
    """None unless they are given: `cli/listening.py` has what they are then."""
    flags.add_argument("--host", help="the address to listen on (default: this machine alone)")
    flags.add_argument("--port", type=int, help=f"0 takes a free one (default: {port})")
    flags.add_argument("--host-name", action="append", metavar="NAME", help="a name clients call it by; repeatable")
    flags.add_argument(
        "--behind-proxy",
        action="store_true",
        default=None,
        help="a proxy with TLS stands before it and names the clients",
    )


def _log_flag() -> ArgumentParser:
    flags = ArgumentParser(add_help=False)
    summary = "debug, info, warning, error or critical (OWLMETRY_LOG_LEVEL)"
    flags.add_argument("--log-level", metavar="LEVEL", default=SUPPRESS, help=summary)
    return flags


def _team_flag() -> ArgumentParser:
    flags = ArgumentParser(add_help=False)
    flags.add_argument("--team", default=None, help="its id, slug or name (default: the store's first)")
    return flags
