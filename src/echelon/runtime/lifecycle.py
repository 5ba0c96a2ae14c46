"""Boot components in order, stop them in reverse, and say of each how it is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from echelon.errors import EchelonError

log = logging.getLogger("echelon")

Step = Callable[[], Awaitable[None]]
Listener = Callable[["StateChange"], None]


class Phase(StrEnum):
    """How a component, or all of them together, is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StateChange:
    """One step in the life of something: a module, the runtime, a component of the application.

    `kind` is "module", "runtime" or "component", `error` the failure that caused the step, if one did.
    """

    kind: str
    name: str
    before: str
    after: str
    error: BaseException | None = None


class Events:
    """Tells whoever subscribed about every StateChange, in order, on the event loop."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Listener:
        """Call `listener(change)` for every change from now on; it must be quick and not raise."""
        self._listeners.append(listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Stop calling a listener; one that is not subscribed is no error."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, kind: str, name: str, before: str, after: str, error: BaseException | None = None) -> None:
        """Report a change; a listener that raises is logged and does not disturb the others."""
        change = StateChange(kind, name, str(before), str(after), error)
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception as exc:
                log.error("a listener for state changes failed: %s", exc, exc_info=exc)


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
        self.events = Events()

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
            self._become(component, Phase.STARTING)
            try:
                await component.start()
            except BaseException as exc:
                self._become(component, Phase.FAILED, exc)
                await self._unwind()
                self.phase = Phase.FAILED
                if isinstance(exc, Exception):
                    raise StartError(component.name, exc) from exc
                raise
            self._become(component, Phase.RUNNING)
        self.phase = Phase.RUNNING

    async def stop(self) -> None:
        """Stop everything that runs, in reverse; a component that fails to stop does not keep the others up."""
        if self.phase is not Phase.RUNNING:
            return
        self.phase = Phase.STOPPING
        await self._unwind()
        self.phase = Phase.STOPPED

    def _become(self, component: Component, phase: Phase, error: BaseException | None = None) -> None:
        before, component.phase = component.phase, phase
        self.events.tell("component", component.name, before, phase, error)

    async def _unwind(self) -> None:
        for component in reversed(self._components):
            if component.phase is not Phase.RUNNING:
                continue
            self._become(component, Phase.STOPPING)
            try:
                await component.stop()
                self._become(component, Phase.STOPPED)
            except Exception as exc:
                self._become(component, Phase.FAILED, exc)
                log.error("the %s could not stop: %s", component.name, exc, exc_info=exc)
