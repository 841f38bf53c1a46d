"""Comments of a server's issues, each written once, whatever becomes of its request."""

from typing import Any

from owlmetry_mcp.backends.live.answers import as_asked, checked, checked_list
from owlmetry_mcp.backends.live.identity import identify
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.backends.live.writes import CannotTellError, carry_out, if_readable
from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.models import Comment, Deleted, UserIdentity

MAX_REMEMBERED = 1_000


class Comments:
    """Issues are named by their paths."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._author_id: str | None = None
        """The id that our comments carry, once an answer has shown it."""
        self._answered: dict[str, None] = {}
        """Comments that earlier calls are known to have added."""

    async def of_issue(self, path: str, deadline: Deadline | None = None) -> list[Comment]:
        return checked_list(Comment, "comments", await self._wire.read(f"{path}/comments", None, deadline))

    async def add(self, path: str, body: str) -> Comment:
        text = parameters.comment_body(body)
        deadline = self._wire.deadline()
        before = await if_readable(self.of_issue(path, deadline))
        known = None if before is None else {comment.id for comment in before}

        async def find(deadline: Deadline) -> Comment | None:
            if known is None:
                raise CannotTellError
            return await self._find(path, text, known, deadline)

        def understand(answer: Any) -> Comment:  # noqa: ANN401 - JSON
            added = checked(Comment, answer)
            return as_asked(added.body == text and added.issue_id == path.rpartition("/")[2], added)

        added = await carry_out(
            self._wire, "the comment was added", "POST", f"{path}/comments", {"body": text}, understand, find, deadline,
            repeatable=False,
        )  # fmt: skip
        self._remember(added)
        return added

    async def edit(self, path: str, comment_id: str, body: str) -> Comment:
        text = parameters.comment_body(body)
        wanted_id = parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> Comment | None:
            comments = await self.of_issue(path, deadline)
            return next((comment for comment in comments if (comment.id, comment.body) == (wanted_id, text)), None)

        def understand(answer: Any) -> Comment:  # noqa: ANN401 - JSON
            edited = checked(Comment, answer)
            return as_asked((edited.id, edited.body) == (wanted_id, text), edited)

        comment_path = f"{path}/comments/{wanted_id}"
        return await carry_out(
            self._wire, "the comment was changed", "PATCH", comment_path, {"body": text}, understand, find
        )

    async def delete(self, path: str, comment_id: str) -> None:
        wanted_id = parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> Deleted | None:
            comments = await self.of_issue(path, deadline)
            return None if wanted_id in (comment.id for comment in comments) else Deleted(deleted=True)

        def understand(answer: Any) -> Deleted:  # noqa: ANN401 - JSON
            done = checked(Deleted, answer)
            return as_asked(done.deleted, done)

        comment_path = f"{path}/comments/{wanted_id}"
        await carry_out(self._wire, "the comment was deleted", "DELETE", comment_path, None, understand, find)

    async def _find(self, path: str, text: str, known: set[str], deadline: Deadline) -> Comment | None:
        """The comment of ours with this body that was not there before, and that no other call has answered with.

        Raises:
            CannotTellError: there is one that may be ours or another's, since who we are is not known.
        """
        if self._author_id is None:
            identity = await identify(self._wire, deadline)
            self._author_id = identity.user.id if isinstance(identity, UserIdentity) else identity.id
        comments = await self.of_issue(path, deadline)
        # From here to the end nothing waits, so that of two calls with the same words each finds its own.
        taken = known | self._answered.keys()
        fresh = [comment for comment in comments if comment.body == text and comment.id not in taken]
        if fresh and self._author_id is None:
            raise CannotTellError
        ours = next((comment for comment in fresh if comment.author_id == self._author_id), None)
        if ours:
            self._remember(ours)
        return ours

    def _remember(self, comment: Comment) -> None:
        self._author_id = comment.author_id
        self._answered[comment.id] = None
        while len(self._answered) > MAX_REMEMBERED:
            del self._answered[next(iter(self._answered))]
