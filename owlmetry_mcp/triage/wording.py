"""What a title says, apart from what varies in it.

Goes further than the fingerprint, which only brings together what surely is one: paths, hosts, names and the layers
that wrap a message go too. Takes any text, and time linear in it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from owlmetry_mcp.triage.engines import reworded

LOOKED_AT = 240
"""Characters of a title, from its beginning: what follows is detail, and strangers may send 2,000."""
_MOST_TOKENS = 50
"""Words, names, numbers and marks of a title, likewise."""
_REMEMBERED = 16_384
"""Titles that need not be read anew with the next look for duplicates."""
_MOST_WRAPPERS = 6
TELLING = 2
"""Words that make a wording stand without the names in it."""

_WRAPPER = re.compile(
    r"""\s*(?:
    [0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9:.,]{5,20}Z?\s+                                # when
    |\[(?:[a-z]+|[A-Z]+:\ [A-Z_]+|(?:Producer|Consumer)\ [^\]]{1,60})\][:\ ]\s*            # a level, a client
    |[0-9]+\#[0-9]+:\s+(?:\*[0-9]+\s+)?                                                    # a process and its thread
    |(?i:exception\ in\ thread\ "[^"]{0,60}")\s+
    |(?i:thread\ '[^']{0,60}'\ panicked\ at)\ [^\s:]{1,90}:[0-9]+:[0-9]+:\s+
    |(?i:terminating\ app\ due\ to\ uncaught\ exception)\ '[^']{0,60}',\ reason:\ '?
    |[\w./]{1,60}\.(?:swift|py|js|ts|go|rs|java|kt|cs|rb|cpp|m):(?:[0-9]+:){0,2}\s+        # where in the code
    |(?i:uncaught|unhandled|\(in\ promise\)|caused\ by:|\*\*\*)\s+
    |(?i:unhandled\ (?:promise\ )?rejection|fatal\ error|panic|fatal|error|warning|exception|failure|reason)\s?:\s+
    |[A-Za-z_][\w$]{0,80}(?:\.[\w$]{1,80}){1,12}(?:\ \[[A-Z_]+\])?:\s+                     # a type and its package
    |(?:[A-Z][a-z0-9]+){1,9}(?:Error|Exception)(?:\ \[[A-Z_]+\])?:\s+
    |Error\ \[[A-Z_]+\]:\s+
    |[A-Za-z][A-Za-z0-9]{0,40}(?:_[A-Za-z0-9]{1,40}){1,9}:\s+                                # a code
    |(?:[A-Z][a-z0-9]+){2,9}:\s+                                                           # a type alone
    )""",
    re.VERBOSE,
)
_PHRASES = re.compile(
    r"\b(?:(?P<cannot>can ?not|can't|could(?: not|n't)|unable to|not able to|fail(?:ed|s|ure)? to)\b"
    r"|(?P<timeout>tim(?:ed|es|ing)[ -]out\b|time-out\b))|(?P<not>n't\b)",
    re.IGNORECASE,
)
_QUOTATION_MARKS = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_REQUEST = re.compile(r"network error: [a-z]{3,10} \S+$")

_TOKEN = re.compile(
    r"""
    (?P<plain>(?<!\S)(?!Cocoa)[A-Z]?[a-z]+(?=\ |$))    # most of all; to find it first saves time
    |(?P<value>
        "[^"\s]{0,80}(?:\ [^"\s]{0,80}){0,2}"|`[^`\s]{0,80}(?:\ [^`\s]{0,80}){0,2}`
        |(?<!\w)'[^'\s]{0,80}(?:\ [^'\s]{0,80}){0,2}'(?!\w)
        |\b[a-zA-Z][a-zA-Z0-9+]{1,9}://[^\s"']+
        |(?<![\w.+-])[\w.+-]{1,64}+@[\w.-]{2,80}
        |(?:\b[A-Za-z]:\\|(?<![\w/])\.{0,2}/)[\w.@$\\/-]+
        |(?<![\w.@/-])[\w.@-]{1,80}+/(?:[\w.@-]{1,80}+/[\w.@/-]*|[\w@-]{0,80}+\.\w+)
        |\b0x[0-9a-fA-F]+|\b(?=[a-f]{0,40}[0-9])[0-9a-f]{7,}(?:-[0-9a-f]{4,})*\b
        |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?
        |(?<![\w-])(?=[\w-]{0,80}[0-9_])[A-Za-z][\w$]*(?:-[\w$]+)+
    )
    |(?P<fault>\b(?:[A-Z]{2}\w{1,60}Domain|Cocoa|OSStatus)\ (?:error\ |Code=)-?[0-9]{1,9}\b)
    |(?P<number>-?\b[0-9]+(?:[.:,][0-9]+)*\b)(?P<after>[,:)\]]?)
    |(?P<dotted>(?<![\w$-])[A-Za-z_$][\w$-]*+(?:\.[\w$-]+)+(?::[0-9]+)?)
    |(?P<word>[^\W\d_]+(?:'[^\W\d_]+)?(?![\w$]))
    |(?P<name>[\w$]+)
    |(?P<bound>[:;,.()\[\]{}=|>\u2013\u2014\n]|\ -\ )
    """,
    re.VERBOSE,
)
_CODE = re.compile("[A-Z][A-Z0-9]*_[A-Z0-9_]+|[A-Z]{1,5}[0-9]{3,6}", re.ASCII)
_STATE = re.compile("(?=[A-Z]{0,8}[0-9])[0-9A-Z]{5,8}")
_FAULT = re.compile(" (?:error |Code=)")
_AFTER_WHICH_A_CODE = frozenset(
    ("code", "errno", "error", "exit", "http", "osstatus", "signal", "sqlstate", "status", "statuscode")
)
_CODE_LENGTHS = range(1, 7)
_SHORTEST_BARE_CODE = 3
"""Of digits that open a parenthesis: `(111: Connection refused)`."""
_TYPE = re.compile("[A-Z].*(?:Error|Exception|Warning)")

_IDLE = frozenset(
    """
    a an the is are was were be been being has have had do does did of for this that these those it its your you may
    might please with by at on in and as will would there s
    """.split()
)
"""Words that are put and left out without a change of meaning."""
_BEGIN_CLAUSES = frozenset(("while", "when", "during", "because", "since", "after", "before"))
_SAY_LITTLE = frozenset(
    """
    cannot error errors fail failed failure exception fault bug issue problem unknown unexpected something went
    wrong occurred happened null nil none undefined invalid not no message request to from fatal warning oops sorry
    code status try again later
    """.split()
)
"""Words that make no message: "something went wrong" is about anything."""


@dataclass(frozen=True, slots=True)
class Wording:
    words: tuple[str, ...]
    """In lower case and in order, without the idle ones."""
    bounds: frozenset[int]
    """Places in `words` before which one clause ends and another begins; both ends are such."""
    names: frozenset[str]
    """Identifiers, proper names, and what stands in quotation marks: what mostly varies."""
    codes: frozenset[str]
    """Numbers and symbols that tell errors apart: of HTTP, of SQL, of the system, of a process's end."""
    telling: int
    """How many of the words and codes say something."""
    bag: frozenset[str]
    """The words, in no order."""

    @property
    def key(self) -> tuple[object, ...]:
        """What is equal for titles that say the same. Names count where little else is said."""
        return (self.words, self.codes) if self.telling >= TELLING else (self.words, self.codes, self.names)


@lru_cache(maxsize=_REMEMBERED)
def wording(title: str) -> Wording:
    text = title[:LOOKED_AT].translate(_QUOTATION_MARKS)
    if _REQUEST.match(text.lower()):  # its host and path are what it is about
        return _known((text.lower(),))
    if known := reworded(text.lower()):
        return _known(tuple(known.split()))
    core = unwrapped(text)
    found = _read(core)
    return found if found.telling or core == text else _read(text)


def _known(words: tuple[str, ...]) -> Wording:
    """Words that say all there is to say."""
    return Wording(
        words, frozenset((0, len(words))), frozenset(), frozenset(), max(TELLING, len(words)), frozenset(words)
    )


def unwrapped(text: str) -> str:
    """The text without what the layers that it came through have put before it."""
    for _ in range(_MOST_WRAPPERS):
        found = _WRAPPER.match(text)
        if not found or len(text) - found.end() < TELLING:
            break
        text = text[found.end() :]
    return text


def _read(text: str) -> Wording:
    reading = _Reading()
    for token in islice(_TOKEN.finditer(_PHRASES.sub(_phrase, text)), _MOST_TOKENS):
        reading.take(token)
    return reading.wording()


def _phrase(found: re.Match[str]) -> str:
    """What is said in several ways, in one; the name of its group."""
    return f" {found.lastgroup}"


class _Reading:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.bounds = {0}
        self.names: set[str] = set()
        self.codes: set[str] = set()
        self.last = ""

    def take(self, token: re.Match[str]) -> None:
        text, kind = token[0], token.lastgroup
        if kind in {"plain", "word"}:
            self._word(text)
        elif kind == "bound":
            self.bounds.add(len(self.words))
        elif kind == "fault":
            self.codes.add(_FAULT.sub(" ", text))
        elif kind in {"number", "after"}:
            self._number(token)
        elif kind == "dotted" and _TYPE.fullmatch(text.rpartition(".")[2]):
            self.words.append(text.rpartition(".")[2].lower())
        elif kind == "name" and (
            _CODE.fullmatch(text) or (self.last in _AFTER_WHICH_A_CODE and _STATE.fullmatch(text))
        ):
            self.codes.add(text)
        else:
            self.names.add(text.strip("\"'`").lower())
        if kind != "bound":
            self.last = text.lower()

    def _word(self, text: str) -> None:
        lower = text.lower()
        if lower in _IDLE:
            return
        if lower in _BEGIN_CLAUSES or text[0].isupper():
            self.bounds.add(len(self.words))
        if text == lower or text.isupper() or text[1:].islower() or _TYPE.fullmatch(text):
            self.words.append(lower)
        else:
            self.names.add(lower)  # in camel case

    def _number(self, token: re.Match[str]) -> None:
        digits = token["number"]
        before = token.string[token.start() - 1 : token.start()]
        coded = self.last in _AFTER_WHICH_A_CODE or (
            before == "(" and token["after"] and len(digits) >= _SHORTEST_BARE_CODE
        )
        if coded and len(digits) in _CODE_LENGTHS and digits.lstrip("-").isdigit():
            self.codes.add(digits)
        if token["after"]:
            self.bounds.add(len(self.words))

    def wording(self) -> Wording:
        telling = sum(1 for word in self.words if word not in _SAY_LITTLE) + len(self.codes)
        return Wording(
            words=tuple(self.words),
            bounds=frozenset((*self.bounds, len(self.words))),
            names=frozenset(self.names),
            codes=frozenset(self.codes),
            telling=telling,
            bag=frozenset(self.words),
        )
