"""Streams of writes, each to what no other writes to, that know how the store has to stand after each of them."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.lifecycle import MOVES, Status
from tests.durability.ground import Party, error, grow, looked_at

_FEWEST_ISSUES = 3


class Held(NamedTuple):
    """What an issue has that is written to."""

    status: Status
    version: str | None
    occurrences: int
    comments: tuple[tuple[str, str], ...]
    """Body and author of each."""


State = Mapping[str, Any]


class Write(NamedTuple):
    tool: str
    arguments: dict[str, Any]
    after: State
    """How what the stream writes to stands once it is done."""


class IssueStream:
    """Comments, edits, deletions, moves and merges in one app's issues, under one name."""

    def __init__(self, path: Path, party: Party, random: Random, *, author: str) -> None:
        self.secret = party.secret
        self._path = path
        self._party = party
        self._author = author
        self._random = random
        self._count = 0
        self._comments: dict[str, str] = {}
        """The id of each comment by its body."""
        self.state: State = {}

    def prepare(self) -> None:
        if len(self.state) < _FEWEST_ISSUES:
            grow(self._path, self._party.app_id, self._random, issues=10, occurrences=3)
            self.state = looked_at(self._path, self._read)

    def next_write(self) -> Write:
        self._count += 1
        issue = self._random.choice(sorted(self.state))
        held: Held = self.state[issue]
        mine = [body for body, _ in held.comments]
        kinds = ["comment"] * 4 + ["move"] * 3 + ["edit", "delete"] * bool(mine) + ["merge"] * (len(self.state) > 1)
        match self._random.choice(kinds):
            case "comment":
                body = f"{self._party.name} says {self._count}"
                after = self._with(issue, held._replace(comments=_sorted(held, body, self._author)))
                return Write("comment", {"issue_id": issue, "body": body}, after)
            case "move":
                return self._move(issue, held)
            case "edit":
                before, body = self._random.choice(mine), f"{self._party.name} corrects {self._count}"
                comments = _sorted(_without(held, before), body, self._author)
                arguments = {"issue_id": issue, "comment_id": self._comments[before], "body": body}
                return Write("edit_comment", arguments, self._with(issue, held._replace(comments=comments)))
            case "delete":
                body = self._random.choice(mine)
                arguments = {"issue_id": issue, "comment_id": self._comments[body]}
                return Write("delete_comment", arguments, self._with(issue, _without(held, body)))
            case _:
                return self._merge(issue, held)

    def _move(self, issue: str, held: Held) -> Write:
        status = self._random.choice(MOVES[held.status])
        arguments = {"issue_id": issue, "status": status}
        version = held.version if status in ("silenced", "snoozed") else None
        if status == "resolved":
            version = arguments["resolved_at_version"] = f"1.{self._count}"
        return Write("update_status", arguments, self._with(issue, held._replace(status=status, version=version)))

    def _merge(self, target: str, held: Held) -> Write:
        source = self._random.choice(sorted(self.state.keys() - {target}))
        other: Held = self.state[source]
        merged = held._replace(
            occurrences=held.occurrences + other.occurrences,
            comments=tuple(sorted((*held.comments, *other.comments))),
        )
        after = {issue: it for issue, it in self._with(target, merged).items() if issue != source}
        return Write("merge", {"target_issue_id": target, "source_issue_id": source}, after)

    def _with(self, issue: str, held: Held) -> State:
        return {**self.state, issue: held}

    def acknowledged(self, write: Write, answer: dict[str, Any]) -> str:
        """Go on from there; returns what is wrong with the answer."""
        self.state = write.after
        if write.tool in ("comment", "edit_comment"):
            self._comments[write.arguments["body"]] = answer["id"]
            if answer["author_name"] != self._author:
                return f"{write.tool} was answered as written by {answer['author_name']}"
        return ""

    def found(self) -> State:
        """How the store stands. An acknowledged comment that has another id than was answered is as good as lost."""
        found: State = looked_at(self._path, self._read)
        return found

    def _read(self, tx: Transaction) -> State:
        comments: dict[str, list[tuple[str, str]]] = {}
        rows = tx.all(
            "SELECT i.id, c.id, c.body, c.author_name FROM comments c JOIN issues i ON i.key = c.issue"
            " JOIN apps a ON a.key = i.app WHERE a.id = ? AND c.deleted_at IS NULL",
            (self._party.app_id,),
        )
        for issue, comment, body, author in rows:
            if self._comments.setdefault(body, comment) == comment:
                comments.setdefault(issue, []).append((body, author))
        rows = tx.all(
            "SELECT i.id, i.status, i.resolved_at_version, i.occurrence_count FROM issues i"
            " JOIN apps a ON a.key = i.app WHERE a.id = ?",
            (self._party.app_id,),
        )
        return {
            issue: Held(status, version, count, tuple(sorted(comments.get(issue, []))))
            for issue, status, version, count in rows
        }


def _sorted(held: Held, body: str, author: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((*held.comments, (body, author))))


def _without(held: Held, body: str) -> Held:
    return held._replace(comments=tuple(comment for comment in held.comments if comment[0] != body))


class EventStream:
    """Batches of events, by a client key: each is in as a whole, or not at all."""

    def __init__(self, path: Path, app_id: str, secret: str, random: Random) -> None:
        self.secret = secret
        self._path = path
        self._app_id = app_id
        self._random = random
        self.state: State = {}

    def prepare(self) -> None: ...

    def next_write(self) -> Write:
        now = datetime.now(UTC)
        rows = [error(self._random, now, "Intake") for _ in range(self._random.randint(1, 30))]
        return Write(
            "ingest", {"events": rows}, {**self.state, **dict.fromkeys(row["client_event_id"] for row in rows)}
        )

    def acknowledged(self, write: Write, answer: dict[str, Any]) -> str:
        self.state = write.after
        if answer["accepted"] != len(write.arguments["events"]):
            return f"of {len(write.arguments['events'])} events {answer['accepted']} were accepted"
        return ""

    def found(self) -> State:
        sql = "SELECT e.client_event_id FROM events e JOIN apps a ON a.key = e.app WHERE a.id = ?"
        rows = looked_at(self._path, lambda tx: tx.all(sql, (self._app_id,)))
        return dict.fromkeys(str(uuid.UUID(bytes=row[0])) for row in rows)


Stream = IssueStream | EventStream
