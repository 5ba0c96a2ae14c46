"""Boot components in order, stop them in reverse, and say of each how it is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from echelon.errors import EchelonError

log = logging.getLogger("echelon")

Step = Callable[[], Awaitable[None]]


class Phase(StrEnum):
    """How a component, or all of them together, is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


class StartError(EchelonError):
    """A component could not start; the message names it, the cause is chained."""

    def __init__(self, component: str, cause: BaseException) -> None:
        super().__init__(f"the {component} could not start: {cause}")
        self.component = component


@dataclass(slots=True)
class Component:
    """One part of the application: how it starts and stops."""

    name: str
    start: Step
    stop: Step
    phase: Phase = Phase.STOPPED


class Lifecycle:
    """The components in the order in which they start. `start()` and `stop()` may be repeated."""

    def __init__(self) -> None:
        self._components: list[Component] = []
        self.phase = Phase.STOPPED

    def add(self, name: str, start: Step, stop: Step) -> None:
        """Add a component that starts after, and stops before, those added so far."""
        self._components.append(Component(name, start, stop))

    def phases(self) -> dict[str, str]:
        """Return the phase of each component by its name."""
        return {component.name: str(component.phase) for component in self._components}

    async def start(self) -> None:
        """Start everything; when one component fails, stop those that run and raise StartError for it."""
        if self.phase is not Phase.STOPPED and self.phase is not Phase.FAILED:
            return
        self.phase = Phase.STARTING
        for component in self._components:
            component.phase = Phase.STARTING
            try:
                await component.start()
            except BaseException as exc:
                component.phase = Phase.FAILED
                await self._unwind()
                self.phase = Phase.FAILED
                if isinstance(exc, Exception):
                    raise StartError(component.name, exc) from exc
                raise
            component.phase = Phase.RUNNING
        self.phase = Phase.RUNNING

    async def stop(self) -> None:
        """Stop everything that runs, in reverse; a component that fails to stop does not keep the others up."""
        if self.phase is not Phase.RUNNING:
            return
        self.phase = Phase.STOPPING
        await self._unwind()
        self.phase = Phase.STOPPED

    async def _unwind(self) -> None:
        for component in reversed(self._components):
            if component.phase is not Phase.RUNNING:
                continue
            component.phase = Phase.STOPPING
            try:
                await component.stop()
                component.phase = Phase.STOPPED
            except Exception as exc:
                component.phase = Phase.FAILED
                log.error("the %s could not stop: %s", component.name, exc, exc_info=exc)
