"""The command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 wrong usage or settings."""

import os
import sys
from collections.abc import Sequence

from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.settings import SettingsError, load

DONE, FAILED, WRONG_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parser().parse_args(arguments)
    try:
        settings = load(vars(parsed), os.environ)
        parsed.run(parsed, settings)
    except SettingsError as error:
        print("owlmetry-mcp: wrong settings:", *error.faults, sep="\n  ", file=sys.stderr)
        return WRONG_USAGE
    except OwlmetryError as error:
        print(f"owlmetry-mcp: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print("owlmetry-mcp: interrupted", file=sys.stderr)
        return FAILED
    return DONE
