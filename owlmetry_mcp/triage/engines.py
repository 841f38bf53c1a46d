"""What JavaScript engines call one and the same fault: Chrome's, Firefox's and Safari's words for it share few.

Source: the error reference of MDN, which lists every engine's message. The wording that all are brought to is ours.
"""

import re

_NAME = r"(?<![\w$.])[\w$.]{1,80}+"
_WORDINGS: tuple[tuple[str, str], ...] = (
    (r"cannot read propert(?:y|ies) (?:'(\w+)' )?of (?:undefined|null)(?: \(reading '(\w+)'\))?", "property read of"),
    (r"(?:undefined|null) is not an object \(evaluating '.{0,120}?(\w+)'\)", "property read of"),
    (r"can't access property \"(\w+)\", .{1,120}? is (?:undefined|null)$", "property read of"),
    (r"cannot set propert(?:y|ies) (?:'(\w+)' )?of (?:undefined|null)(?: \(setting '(\w+)'\))?", "property write of"),
    (r"can't access property \"(\w+)\", .{1,120}? is (?:undefined|null) while setting it", "property write of"),
    (rf"({_NAME}) is not a function(?:\. \(in .{{0,200}})?$", "function call of"),
    (rf"({_NAME}) is not iterable", "iteration of"),
    (r"undefined is not a function \(near '\.\.\.([\w$.]{1,80}?)\.\.\.'\)", "iteration of"),
    (rf"({_NAME}) is not defined$", "variable missing"),
    (rf"can't find variable: ({_NAME})$", "variable missing"),
    (rf"cannot access '({_NAME})' before initialization", "variable early"),
    (rf"can't access lexical declaration '({_NAME})' before initialization", "variable early"),
    (r"(?:assignment to constant variable|invalid assignment to const )", "constant variable assignment"),
    (r"(?:maximum call stack size exceeded|too much recursion)", "maximum call stack exceeded"),
    (r"(?:failed to fetch|load failed|networkerror when attempting to fetch resource)\.?$", "network fetch impossible"),
    (r"(?:the user aborted a request|signal is aborted without reason|fetch is aborted)", "request abort signalled"),
    (r"the operation was aborted\.? *$", "request abort signalled"),
    (
        r"(?:unexpected end of json input|json\.parse: unexpected end of data|json parse error: unexpected eof)",
        "json end",
    ),
    (r"unexpected token .{1,40}? (?:in json|is not valid json)", "json token"),
    (r"unexpected token .{1,4}, \".{0,40}\.\.\. is not valid json", "json token"),
    (r"json\.parse: unexpected character", "json token"),
    (r"json parse error: unrecognized token", "json token"),
    (r"(?:failed to fetch|error loading) dynamically imported module", "dynamic module import impossible"),
    (r"importing a module script failed", "dynamic module import impossible"),
    (r"(?:setting the value of .{1,80} exceeded the quota|the quota has been exceeded)", "storage quota exceeded"),
    (r"(?:no supported source was found|the element has no supported sources)", "media source unsupported"),
    (r"resizeobserver loop (?:limit exceeded|completed with undelivered)", "resizeobserver loop undelivered"),
    (r"(?:access is denied for this document|the operation is insecure)", "storage access insecure"),
    (r"rangeerror: invalid (?:time value|date)", "time value invalid"),
)
_HINTS = re.compile(
    r"propert|denied for|insecure|rangeerror|is not an? |is not (?:iterable|defined)|variable|initialization|to const"
    r"|call stack|recursion|fetch|load failed|abort|json|module|quota|supported source|resizeobserver"
)
"""What one of every wording has; most messages have none, and need not be tried against each."""
_RULES = tuple((re.compile(pattern), canonical) for pattern, canonical in _WORDINGS)


def reworded(text: str) -> str | None:
    """A known fault in the one wording for it, with the name that it is about; None for any other text.

    Takes lower case, with plain quotation marks.
    """
    if not _HINTS.search(text):
        return None
    for rule, canonical in _RULES:
        if found := rule.search(text):
            return " ".join((canonical, *filter(None, found.groups())))
    return None
