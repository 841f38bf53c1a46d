"""`owlmetry-mcp import` and `export`: a whole store as a JSON document."""

import os
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from owlmetry_mcp.backends.store.exporting import export_document
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.settings import Settings

STANDARD_STREAM = "-"


def import_file(parsed: Namespace, settings: Settings) -> None:
    name = "standard input" if parsed.file == STANDARD_STREAM else parsed.file
    try:
        text = sys.stdin.buffer.read() if parsed.file == STANDARD_STREAM else Path(parsed.file).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    try:
        document = read_document(text)
        with Store(settings.store) as store:
            imported = store.write(lambda tx: import_document(tx, document))
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error.message}", "Nothing was imported.") from error
    counts = (f"{count} {section.replace('_', ' ')}" for section, count in imported.counts.items() if count)
    print(f"Imported {', '.join(counts) or 'nothing: the document is empty'}.", file=sys.stderr)
    if imported.ignored:
        print(f"Passed over what a store has no place for: {', '.join(sorted(imported.ignored))}.", file=sys.stderr)


def export_file(parsed: Namespace, settings: Settings) -> None:
    if parsed.file == STANDARD_STREAM:
        with Store(settings.store) as store:
            store.read(lambda tx: sys.stdout.writelines(export_document(tx)))
        return
    target = Path(parsed.file)
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)  # 0600, like the store itself
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file, Store(settings.store) as store:
                store.read(lambda tx: file.writelines(export_document(tx)))
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink()
            raise
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{parsed.file} cannot be written: {error}") from error
    print(f"Exported the store to {parsed.file}.", file=sys.stderr)
