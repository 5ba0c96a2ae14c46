"""The embedded, ordered, transactional key-value store."""

from echelon.kv.atomic import Atomic as Atomic
from echelon.kv.backend import CommitResult as CommitResult
from echelon.kv.codec import U64 as U64
from echelon.kv.codec import VERSIONSTAMP as VERSIONSTAMP
from echelon.kv.codec import Key as Key
from echelon.kv.collection import Collection as Collection
from echelon.kv.entry import Entry as Entry
from echelon.kv.items import Change as Change
from echelon.kv.items import Item as Item
from echelon.kv.items import Items as Items
from echelon.kv.listing import Listing as Listing
from echelon.kv.maintenance import Stats as Stats
from echelon.kv.opening import open_kv as open_kv
from echelon.kv.store import Kv as Kv

__all__ = [
    "U64",
    "VERSIONSTAMP",
    "Atomic",
    "Change",
    "Collection",
    "CommitResult",
    "Entry",
    "Item",
    "Items",
    "Key",
    "Kv",
    "Listing",
    "Stats",
    "open_kv",
]
