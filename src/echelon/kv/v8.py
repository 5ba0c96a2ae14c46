"""V8's structured clone: how Deno stores values, and how JavaScript gets them over KV Connect.

Numbers keep their kind: int is BigInt, float is Number. `docs/kv.md` has the table of all types. Wire versions 13
to 16 are read; 15 is written.
"""

from __future__ import annotations

import struct
from typing import Any

from echelon.errors import KvStorageError, KvValueError
from echelon.kv.v8_format import JsError as JsError
from echelon.kv.v8_format import JsRegExp as JsRegExp
from echelon.kv.v8_reader import Damaged, Reader
from echelon.kv.v8_writer import encode as encode


def decode(data: bytes) -> Any:
    """Return the value that V8 wrote as `data`.

    Raises KvStorageError for damaged bytes and KvValueError for what Python has no value for.
    """
    try:
        return Reader(data).read_all()
    except (Damaged, IndexError, struct.error, UnicodeDecodeError) as exc:
        raise KvStorageError(f"a stored value is damaged: {exc}") from exc
    except RecursionError as exc:
        raise KvValueError("the stored value is nested too deeply") from exc
