"""One call of a module: narrowed permissions and limits, the instance it runs in, and what it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from echelon.errors import GuestError, GuestExit, PermissionDenied
from echelon.runtime import http_guest
from echelon.runtime.clock import VirtualClock
from echelon.runtime.environment import Environment, Seed
from echelon.runtime.host import Call, OnOutput
from echelon.runtime.instance import Instance
from echelon.runtime.limits import Limits
from echelon.runtime.loader import COMMAND, Loaded
from echelon.runtime.permissions import Permissions
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.result import Cost, Outcome
from echelon.runtime.streams import Input, on_loop
from echelon.telemetry import GUEST_CALLS, WASM_CALL

if TYPE_CHECKING:
    from echelon.runtime.module import Module


class Work:
    """One call of a module. `instance` is None until it has been opened."""

    __slots__ = (
        "_args",
        "_call",
        "_env",
        "_on_output",
        "_stdin",
        "_waited",
        "instance",
        "limits",
        "loaded",
        "module",
        "permissions",
        "seed",
    )  # fmt: skip

    def __init__(
        self,
        module: Module,
        loaded: Loaded,
        limits: Limits | None,
        permissions: Permissions | None,
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes | AsyncIterable[bytes] = b"",
        on_output: OnOutput | None = None,
        seed: Seed | None = None,
    ) -> None:
        self.module, self.loaded = module, loaded
        self.limits = module.limits
        if limits is not None:
            self.limits = module.limits.narrow(limits)
            module.runtime.check_limits(self.limits)
        self.permissions = (
            module.permissions if permissions is None else module.permissions.narrow(permissions)
        )
        if module.runtime.audit is not None:
            self.permissions = self.permissions.audited(module.runtime.audit, module.name)
        self._args, self._env, self._stdin, self.seed = args, env, stdin, seed
        self._on_output = on_output
        self.instance: Instance | None = None
        self._call: Call | None = None
        self._waited = 0.0

    def make_call(self) -> Call:
        module = self.module
        if (
            self._args
            or self._env is not None
            or self.seed is not None
            or self.permissions is not module.permissions
        ):
            environment = Environment.build(
                self.permissions,
                variables=self._env,
                args=self._args,
                seed=self.seed,
                clock=None if self.seed is None else VirtualClock(),
            )
        else:
            environment = module.default_environment().fresh()
        self._call = Call(self.limits, self.permissions, environment, stdin=Input(self._stdin))
        if self._on_output is not None:
            self._call.on_output = on_loop(self._on_output)
        return self._call

    async def open(self, *, kept: bool = False) -> Instance:
        """Wait for a slot and start an instance."""
        runtime = self.module.runtime
        self.instance, self._waited = await runtime.open(
            self.loaded, self.limits, self.make_call, kept=kept, deterministic=self.seed is not None
        )
        return self.instance

    async def exchange(self, request: bytes) -> bytes:
        """Give an HTTP guest its request buffer in a fresh instance and return its response buffer."""
        loaded = self.loaded

        async def answer(instance: Instance) -> bytes:
            return await http_guest.exchange(loaded, instance, request)

        result: bytes = await self.call(loaded.plans[http_guest.HANDLE], (), measured=False, action=answer)
        return result

    async def call(
        self,
        plan: FunctionPlan,
        arguments: Sequence[Any],
        *,
        measured: bool,
        action: Callable[[Instance], Awaitable[Any]] | None = None,
    ) -> Any:
        """Make the call, or do `action`, in a fresh instance; an error carries what the guest left until then."""
        runtime = self.module.runtime
        try:
            if self.seed is None:
                self.instance = runtime.open_now(self.loaded, self.limits, self.make_call)
            instance = self.instance or await self.open()
            try:
                if action is not None:
                    value = await action(instance)
                elif plan.simple:
                    plan.put(instance, arguments)
                    future = instance.begin(plan)
                    if future is not None:
                        await instance.finish(future, plan)
                    value = plan.get(instance)
                else:
                    value = await plan.call(instance, arguments, self.loaded.plans, kept=False)
                if measured:
                    instance.measure()
            except (GuestError, PermissionDenied):
                instance.measure()
                raise
            finally:
                instance.close()
            if runtime.telemetry.counting:
                runtime.count_call(instance.spent, self._waited + instance.waited)
        except GuestExit as exc:
            if exc.code == 0 and (not plan.returns or plan is self.loaded.plans.get(COMMAND)):
                return None
            raise self.failed(exc) from None
        except (GuestError, PermissionDenied) as exc:
            raise self.failed(exc) from exc.__cause__
        return value

    async def traced_call(self, plan: FunctionPlan, arguments: Sequence[Any], *, measured: bool) -> Any:
        """Make the call in a span of its own."""
        name = self.module.name
        with self.module.runtime.telemetry.span(WASM_CALL, module=name, function=plan.name):
            return await self.call(plan, arguments, measured=measured)

    def failed(self, error: GuestError | PermissionDenied) -> GuestError | PermissionDenied:
        """Count a failure and give its error what the guest left."""
        self.module.runtime.telemetry.count(GUEST_CALLS, result=type(error).__name__)
        error.outcome = self.outcome(None)
        return error

    def outcome(self, value: Any) -> Outcome:
        instance, call = self.instance, self._call
        if instance is None:
            cost = Cost(wall=0.0, cpu=0.0, fuel=None, memory=0, host_calls=0, wait=self._waited)
        else:
            cost = Cost(
                wall=instance.spent,
                cpu=max(0.0, instance.spent - instance.idle),
                fuel=instance.fuel,
                memory=instance.peak,
                host_calls=call.host_calls if call else 0,
                wait=self._waited + instance.waited,
            )
        if call is None:
            return Outcome(value, b"", b"", cost)
        return Outcome(value, bytes(call.stdout), bytes(call.stderr), cost, tuple(call.logs))
