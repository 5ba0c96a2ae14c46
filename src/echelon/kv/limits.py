"""Every limit of the store, by name. Sizes are bytes of the encoded form."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_WRITE_KEY_BYTES: Final = 2048
"""The largest key that can be written, deleted or checked."""

MAX_READ_KEY_BYTES: Final = 2049
"""The largest key in a get or a list bound: one more, so that a bound can lie just above the largest key."""

MAX_VALUE_BYTES: Final = 65_536
"""The largest value, or payload of a message, unless a store was opened with another `max_value`."""

MAX_LARGE_VALUE_BYTES: Final = 64 * 1024 * 1024
"""The largest `max_value`."""

MAX_VALUE_DEPTH: Final = 100
"""How many containers may lie inside each other in one value."""

MAX_INTEGER_BYTES: Final = 255
"""The largest magnitude of an integer in a key."""

MAX_GET_MANY_KEYS: Final = 10
MAX_BATCH_ENTRIES: Final = 1000
"""The largest `batch_size` of a list."""

DEFAULT_BATCH_ENTRIES: Final = 100
MAX_DEFAULT_BATCH_ENTRIES: Final = 500
"""A list with a `limit` reads that many entries at once, but not more than this unless it is told to."""

MAX_CHECKS: Final = 100
MAX_MUTATIONS: Final = 1000
MAX_COMMIT_BYTES: Final = 819_200
"""Of one commit: every key, plus key and value of each mutation that carries a value.

With a `max_value` above MAX_VALUE_BYTES it is as much more.
"""

MAX_COMMIT_KEY_BYTES: Final = 81_920
"""Of one commit: the keys of the mutations that carry a value."""

MAX_WATCH_KEYS: Final = 10

MAX_QUEUE_DELAY: Final = timedelta(days=30)
MAX_BACKOFF_STEPS: Final = 5
MAX_BACKOFF: Final = timedelta(hours=1)
"""The longest wait in a backoff schedule."""

MAX_UNDELIVERED_KEYS: Final = 10
DEFAULT_BACKOFF: Final = (100, 1000, 5000, 30_000, 60_000)
"""Milliseconds after each failed delivery of a message that has no backoff schedule of its own."""

DEFAULT_CONCURRENCY: Final = 100
"""How many messages one listener handles at once unless it is told otherwise."""

MAX_DEQUEUE_MESSAGES: Final = 100
"""How many messages a listener takes at once."""

MAX_LEASE_SECONDS: Final = 5.0
"""How long a message stays with a process that died: its listener renews the lease while a handler runs."""

MAX_LOST_DELIVERIES: Final = 3
"""How often a message whose schedule is shorter than this is delivered again when its process died."""

MAX_U64: Final = 2**64 - 1

MAX_GROUP_COMMITS: Final = 256
"""How many waiting commits share one transaction, and so one fsync."""

MAX_GROUP_BYTES: Final = 4 * 1024 * 1024
MAX_SWEEP_ENTRIES: Final = 1000
"""How many expired entries one transaction removes."""

MIN_SWEEP_SECONDS: Final = 1.0
"""The shortest time between two looks, unless there is more to remove."""

MAX_SWEEP_SECONDS: Final = 60.0
"""The longest time between two looks for expired entries."""

MAX_LOCK_SECONDS: Final = 60.0
"""How long an operation waits for another process that holds the file before it gives up."""

MAX_RECONNECT_SECONDS: Final = 30.0
"""How long an operation waits for a server that went away before it gives up."""

MAX_WAL_PAGES: Final = 1000
"""How long the write-ahead log grows before it is copied back into the file."""

MAX_KEPT_WAL_BYTES: Final = 16 * 1024 * 1024
"""What is left of a log that grew longer, once it was copied back."""
