"""The command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 wrong usage or settings."""

import gc
import io
import os
import sys
from collections.abc import Sequence

DONE, FAILED, WRONG_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _failed("interrupted")
    finally:
        gc.enable()


def _run(arguments: Sequence[str] | None) -> int:
    gc.disable()  # until all is imported: what modules are made of is never garbage, and looking for it takes long
    # Imported under main()'s guard, since it is what takes longest and what Ctrl-C is most likely to meet.
    from owlmetry_mcp.cli.parser import parser  # noqa: PLC0415
    from owlmetry_mcp.issues.errors import OwlmetryError  # noqa: PLC0415
    from owlmetry_mcp.settings import SettingsError, load, look  # noqa: PLC0415

    if None in (sys.stdin, sys.stdout, sys.stderr):
        return _failed("standard input, output and error must be open")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    parsed = parser(given).parse_args(given)
    try:
        parsed.environment = os.environ
        inspects = parsed.command == "doctor.doctor"  # which is there to be asked when settings are wrong
        settings = (look if inspects else load)(vars(parsed), parsed.environment)
        try:
            parsed.run(parsed, settings)
        except BaseExceptionGroup as group:  # what a task group makes of the one thing that went wrong
            raise _first(group) from group
        sys.stdout.flush()
    except SettingsError as error:
        print("owlmetry-mcp: wrong settings:", *error.faults, sep="\n  ", file=sys.stderr)
        return WRONG_USAGE
    except OwlmetryError as error:
        from owlmetry_mcp.issues.quoting import on_a_line  # noqa: PLC0415 - a server may have said it

        return _failed(on_a_line(str(error)))
    except OSError as error:  # whoever reads our output has gone, as `head` does, or the disk it goes to is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return FAILED if isinstance(error, BrokenPipeError) else _failed(str(error))
    return DONE


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _failed(why: str) -> int:
    if sys.stderr is not None:
        print(f"owlmetry-mcp: {why}", file=sys.stderr)
    return FAILED
