"""What operators and their clients talk to: health, metrics, and the control API behind a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from echelon.console.control import Control
from echelon.http.request import Request
from echelon.http.response import JSON, Problem, Response
from echelon.runtime.lifecycle import Phase
from echelon.runtime.module import State
from echelon.telemetry.metrics import CONTENT_TYPE
from echelon.types import CallNext

if TYPE_CHECKING:
    from echelon.app import Application

PREFIX: Final = "/_echelon"
HOW_TO_TURN_ON: Final = (
    "the control API is off: set the environment variable ECHELON_TOKEN (or console.token in echelon.toml)"
    ' to a secret, and send it with every request as "Authorization: Bearer <token>"'
)
TURNED_OFF: Final = "the control API is off: console.enabled is false"


class Console:
    """The routes below `/_echelon`. Made with the application, before its router is frozen."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._settings = app.config.console
        self._control = Control(app)
        open_to_all = app.router.group(PREFIX, middleware=[_fresh], name="echelon")
        open_to_all.get("/health", name="health")(self.health)
        open_to_all.get("/ready", name="ready")(self.ready)
        open_to_all.get("/metrics", name="metrics")(self.metrics)
        guarded = app.router.group(f"{PREFIX}/v1", middleware=[_fresh, self._authorize], name="echelon")
        self._control.add_routes(guarded)

    async def start(self) -> None:
        """Open the registry of modules; the key-value store and the runtime must run."""
        if self._serves:
            self._control.start()

    async def close(self) -> None:
        """Let go of every loaded module; the runtime must still run. Closing twice is a no-op."""
        self._control.close()

    @property
    def _serves(self) -> bool:
        return self._settings.enabled and bool(self._settings.token)

    async def health(self) -> Response:
        """Tell that this process answers."""
        return JSON({"status": "ok"})

    async def ready(self) -> Response:
        """Tell whether requests should be sent here: everything runs and every declared module is loaded."""
        lifecycle = self._app.lifecycle
        components = {name: phase for name, phase in lifecycle.phases().items() if phase != Phase.RUNNING}
        modules = {
            module.name: str(module.state)
            for module in self._app.wasm.declared  # the console is the runtime's own window
            if module.state is not State.READY
        }
        if lifecycle.phase is Phase.RUNNING and not components and not modules:
            return JSON({"status": "ready"})
        return Problem(
            503,
            f"the application is {lifecycle.phase}",
            type="urn:echelon:not-ready",
            title="Not ready",
            headers={"retry-after": "1"},
            components=components,
            modules=modules,
        )

    async def metrics(self) -> Response:
        """Answer with the metrics as Prometheus text."""
        if not self._app.telemetry.counting:
            return Problem(404, 'metrics are off: set telemetry.metrics to "prometheus"')
        return Response(self._app.telemetry.render(), media_type=CONTENT_TYPE)

    async def _authorize(self, request: Request, call_next: CallNext) -> Response:
        """Let a request pass that shows the token, before anything else of it is read."""
        if not self._serves:
            return Problem(404, HOW_TO_TURN_ON if self._settings.enabled else TURNED_OFF)
        given = request.headers.get_all("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            return _unauthorized('send the token: "Authorization: Bearer <token>"', 'Bearer realm="echelon"')
        if not self._settings.token.matches(token.strip()):
            return _unauthorized(
                "the token is not the right one", 'Bearer realm="echelon", error="invalid_token"'
            )
        return await call_next(request)


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(401, detail, headers={"www-authenticate": challenge})


async def _fresh(request: Request, call_next: CallNext) -> Response:
    """Keep answers out of every cache."""
    response = await call_next(request)
    response.headers.setdefault("cache-control", "no-store")
    return response
