"""Python functions that a guest may call. `python examples/host_functions.py`"""

import asyncio
from pathlib import Path

from echelon import Runtime
from echelon.runtime.host import Call
from echelon.runtime.types import U32

ARTICLES = {"tea": (450, "Black tea"), "milk": (120, "Milk")}

wasm = Runtime()
shop = wasm.host("shop")


@shop
def price(article: str) -> U32:
    return ARTICLES[article][0]


@shop
async def describe(call: Call, article: str) -> str | None:
    call.log("info", f"somebody looks at {article}")
    await asyncio.sleep(0.001)  # a database, say; the guest is suspended meanwhile
    return ARTICLES[article][1] if article in ARTICLES else None


async def main() -> None:
    async with wasm:
        guest = await wasm.load(Path(__file__).parent / "guests" / "shop.ts")
        print(await guest.label("tea"))
        print(await guest.label("gold"))


if __name__ == "__main__":
    asyncio.run(main())
