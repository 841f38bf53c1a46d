"""A server of one of the faces on a store with one issue, that is asked for what its storage may keep it from."""

from pathlib import Path

import pytest

from tests.durability.ground import looked_at, wrongs
from tests.durability.links import ApiLink, Refusal, StdioLink
from tests.durability.streams import Write

FACES = ("stdio", "api")
IN_HTTP = '{"error":"The store cannot be used now; nothing was changed"}'
IN_HTTP_BUSY = '{"error":"The store is busy; nothing was changed"}'


class Served:
    """A server of one of the faces, and its store."""

    def __init__(self, face: str, path: Path, project_id: str, secret: str) -> None:
        self.path = path
        self._face = face
        self._secret = secret
        only = "SELECT id, occurrence_count FROM issues"
        self._issue, self._occurrences = looked_at(path, lambda tx: tx.one(only))
        self.link = (
            StdioLink(path, project_id, OWLMETRY_API_KEY=secret) if face == "stdio" else ApiLink(path, project_id)
        )

    def comment(self, body: str) -> None:
        """Comment on the issue; the answer is that it is kept."""
        answer = self.link.ask(self._secret, Write("comment", {"issue_id": self._issue, "body": body}, {}))
        assert answer is not None
        assert (answer["body"], answer["author_name"]) == (body, "Ada")

    def reads(self) -> None:
        answer = self.link.ask(self._secret, Write("get_issue", {"issue_id": self._issue}, {}))
        assert answer is not None
        assert answer["occurrence_count"] == self._occurrences

    def refuses(self, why: str, *, to_read: bool = False, body: str = "refused", busy: bool = False) -> None:
        """The agent is told the cause; who comes by HTTP only that there is one, as the log has the machine's paths."""
        with pytest.raises(Refusal) as refused:
            self.reads() if to_read else self.comment(body)
        in_http = "503 " + IN_HTTP_BUSY if busy else "500 " + IN_HTTP
        assert (why if self._face == "stdio" else in_http) in str(refused.value)
        assert "Traceback" not in str(refused.value)


def comments(path: Path) -> list[str]:
    """Of a store that is sound."""
    assert wrongs(path) == []
    sql = "SELECT body FROM comments ORDER BY key"
    return [row[0] for row in looked_at(path, lambda tx: tx.all(sql))]
