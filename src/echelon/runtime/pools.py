"""Pools of instances: an engine for each kind of limit that only an engine enforces, and the line for its slots."""

from __future__ import annotations

from typing import Final

from echelon.runtime.engine import Engine, Profile
from echelon.runtime.instance import Scratch
from echelon.runtime.limits import Limits
from echelon.runtime.slots import Slots

_SMALL_POOL: Final = 32
"""Slots of a pool for unusual limits."""

_COMPONENT_POOL: Final = 64
"""Slots of the pool for components, each of which has room for several memories."""


class Pool:
    """One engine with its slots and spare buffers."""

    def __init__(self, profile: Profile, queue_limit: int) -> None:
        self.engine = Engine(profile)
        self.slots = Slots(profile.instances, queue_limit)
        self.scratches: list[Scratch] = []


class Pools:
    """Every pool of a runtime. Most calls use the usual one; fuel, or another size of stack, has a small one.

    Components have pools of their own.

    `instances` and `queue_limit` are those of the usual pool, `max_memory` the bytes one slot may grow to.
    """

    def __init__(self, usual: Limits, instances: int, queue_limit: int, max_memory: int) -> None:
        self._stack = usual.stack
        self._instances, self._queue_limit, self._max_memory = instances, queue_limit, max_memory
        self._pools: dict[Profile, Pool] = {}
        self.usual = self.find(Limits(stack=usual.stack))

    def is_usual(self, limits: Limits) -> bool:
        """Tell whether the usual pool can hold a call to these limits."""
        return limits.fuel is None and limits.stack == self._stack

    def find(self, limits: Limits, *, deterministic: bool = False, components: bool = False) -> Pool:
        """Return the pool for these limits, made if need be. A stack is rounded down to a power of two."""
        usual = self.is_usual(limits) and not deterministic
        if usual and self._pools and not components:
            return self.usual
        profile = Profile(
            fuel=limits.fuel is not None,
            deterministic=deterministic,
            stack=self._stack if limits.stack == self._stack else 1 << (limits.stack.bit_length() - 1),
            instances=self._size(usual, components),
            max_memory=self._max_memory,
            components=components,
        )
        pool = self._pools.get(profile)
        if pool is None:
            pool = self._pools[profile] = Pool(profile, self._queue_limit)
        return pool

    def usual_for(self, components: bool) -> Pool:
        """Return the pool that most calls of modules, or of components, use."""
        return self.find(Limits(stack=self._stack), components=components)

    def _size(self, usual: bool, components: bool) -> int:
        if usual:
            return min(_COMPONENT_POOL, self._instances) if components else self._instances
        return min(_SMALL_POOL, self._instances)

    @property
    def live(self) -> int:
        """Instances that exist now."""
        return sum(pool.slots.total - pool.slots.free for pool in list(self._pools.values()))

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot now."""
        return sum(pool.slots.waiting for pool in list(self._pools.values()))

    def close(self) -> None:
        """Free every engine; no module or instance may be left in one."""
        while self._pools:
            self._pools.popitem()[1].engine.close()
