"""`owlmetry-mcp import` and `export`: a whole store as a JSON document."""

import os
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from owlmetry_mcp.backends.store.exporting import export_document
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.settings import Settings

STANDARD_STREAM = "-"


def import_file(parsed: Namespace, settings: Settings) -> None:
    if not parsed.file:
        raise InvalidInputError("FILE must be the path of a file, or - for standard input")
    name = "standard input" if parsed.file == STANDARD_STREAM else parsed.file
    try:
        text = sys.stdin.buffer.read() if parsed.file == STANDARD_STREAM else Path(parsed.file).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    try:
        document = read_document(text)
        with Store(settings.store) as store:
            imported = store.write(lambda tx: import_document(tx, document))
            scan_all(store.write)
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error.message}", "Nothing was imported.") from error
    counts = (f"{count} {section.replace('_', ' ')}" for section, count in imported.counts.items() if count)
    print(f"Imported {', '.join(counts) or 'nothing: the document is empty'}.", file=sys.stderr)
    if imported.ignored:
        print(f"Passed over what a store has no place for: {', '.join(sorted(imported.ignored))}.", file=sys.stderr)


def export_file(parsed: Namespace, settings: Settings) -> None:
    if not parsed.file:
        raise InvalidInputError("FILE must be the path of a file, or - for standard output")
    if parsed.file == STANDARD_STREAM:
        with Store(settings.store) as store:
            store.read(lambda tx: sys.stdout.writelines(export_document(tx)))
        return
    try:
        _write_file(Path(os.path.realpath(parsed.file)), settings)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{parsed.file} cannot be written: {error}") from error
    print(f"Exported the store to {parsed.file}.", file=sys.stderr)


def _write_file(target: Path, settings: Settings) -> None:
    """Into a draft beside the file, readable by its owner alone like the store, so that a failure harms no earlier one.

    What is there and no file, as a pipe or a device, is written to as it is.
    """
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8") as stream, Store(settings.store) as store:
            store.read(lambda tx: stream.writelines(export_document(tx)))
        return
    handle, draft = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file, Store(settings.store) as store:
            store.read(lambda tx: file.writelines(export_document(tx)))
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink()
        raise
