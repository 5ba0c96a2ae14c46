import asyncio

from echelon import Limits, Runtime


async def main() -> None:
    async with Runtime() as wasm:
        module = await wasm.load("examples/guests/fib.ts", limits=Limits(memory="16MiB", time="200ms"))
        print(await module.call("fib", 30))


asyncio.run(main())
