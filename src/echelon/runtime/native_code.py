"""The native code of modules: from the cache on disk, or made by the compiler's process and kept there."""

from __future__ import annotations

import asyncio
from typing import Final

from echelon.runtime.code_cache import CodeCache, private_directory
from echelon.runtime.compile_process import Forms, NativeCompiler
from echelon.runtime.engine import Profile
from echelon.runtime.settings import RuntimeSettings

INSTALLED_SECONDS: Final = 600.0
"""What the native compilation of an installed engine may take: megabytes of code, on whatever machine this is."""


class NativeCode:
    """Gives the native code of a module; concurrent requests compile once, across processes too.

    `compiled` counts the modules that had to be compiled.
    """

    def __init__(self, settings: RuntimeSettings) -> None:
        directory = private_directory(settings.cache_directory())
        self._cache = CodeCache(directory, settings.cache_size)
        self._compiler = NativeCompiler(
            directory, seconds=settings.compile_time, memory=settings.compile_memory
        )
        usual = RuntimeSettings().cache_directory()
        self._usual = None if usual == directory else usual
        self.compiled = 0

    async def get(
        self,
        wasm: bytes,
        digest: str,
        profile: Profile,
        *,
        forms: Forms = (),
        anew: bool = False,
        installed: bool = False,
    ) -> bytes:
        """Return native code; with `anew` what is cached is of no use. Raises InvalidModule.

        It is compiled in the first of these forms that the engine accepts, or as it is. The code of what is `installed`
        may also be where installing it left it, in the usual directory, and may take longer to compile.
        """
        cache, key = self._cache, profile.code_key()
        if anew:
            cache.discard(key, digest)
        code = cache.read(key, digest)
        if code is not None:
            return code
        async with cache.lock(digest):
            code = cache.read(key, digest)
            if code is None and installed and not anew:
                code = await asyncio.to_thread(self._usual_code, key, digest)
            if code is None:
                seconds = INSTALLED_SECONDS if installed else 0.0
                code = await self._compiler.compile(wasm, profile, forms, seconds=seconds)
                self.compiled += 1
                await asyncio.to_thread(cache.write, key, digest, code)
            return code

    def _usual_code(self, key: str, digest: str) -> bytes | None:
        if self._usual is None or not self._usual.is_dir():
            return None
        return CodeCache(self._usual).read(key, digest)

    async def close(self) -> None:
        """End the compiler's processes."""
        await self._compiler.close()
