"""The API's UUIDs as the large tables hold them: 16 bytes, and those made here in the order they were made in, so that
new rows go to the end of an index.

Bytes are given to SQLite as `bytearray`, of which Python's module makes a parameter in a quarter of the time that it
takes for `bytes`.
"""

import itertools
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime

_VERSION_7 = 7 << 12
_VARIANT = 1 << 63
_COUNTER_BITS, _RANDOM_BITS = 12, 62
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1


def to_bytes(text: str) -> bytearray:
    """A UUID that has been checked."""
    return bytearray.fromhex(text.replace("-", ""))


def to_text(value: bytes | bytearray) -> str:
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def ordered(now: str) -> Iterator[bytearray]:
    """New ids of one instant, one after another, as RFC 9562 has UUIDs of version 7."""
    milliseconds = int(datetime.fromisoformat(now).timestamp() * 1000)
    low = (_VARIANT | secrets.randbits(_RANDOM_BITS)).to_bytes(8)
    for count in itertools.count():
        carry, counter = count >> _COUNTER_BITS, count & _COUNTER_MASK
        yield bytearray(((milliseconds + carry) << 16 | _VERSION_7 | counter).to_bytes(8) + low)


def teach(connection: sqlite3.Connection) -> None:
    """Give SQL the two forms: `uuid_text(blob)` and `uuid_blob(text)`, of null null."""
    connection.create_function("uuid_text", 1, lambda it: None if it is None else to_text(it), deterministic=True)
    connection.create_function("uuid_blob", 1, lambda it: None if it is None else to_bytes(it), deterministic=True)
