"""Configuration: defaults < `echelon.toml` < `ECHELON_*` variables < arguments."""

from echelon.config.layers import Origin as Origin
from echelon.config.model import Config as Config
from echelon.config.model import Row as Row
from echelon.config.model import settings as settings
from echelon.config.secret import Secret as Secret
from echelon.config.sections import ConsoleConfig as ConsoleConfig
from echelon.config.sections import GeneratorConfig as GeneratorConfig
from echelon.config.sections import KvConfig as KvConfig
from echelon.config.sections import ServerConfig as ServerConfig
from echelon.config.sections import TelemetryConfig as TelemetryConfig
from echelon.config.sections import WasmConfig as WasmConfig

__all__ = [
    "Config",
    "ConsoleConfig",
    "GeneratorConfig",
    "KvConfig",
    "Origin",
    "Row",
    "Secret",
    "ServerConfig",
    "TelemetryConfig",
    "WasmConfig",
    "settings",
]
