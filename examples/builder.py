"""A module made by a program: sums of powers, one function for each power. `python examples/builder.py`"""

import asyncio

from echelon.plugin.builder import FunctionBuilder, ModuleBuilder
from echelon.runtime.core import Runtime


def sum_of_powers(module: ModuleBuilder, power: int) -> FunctionBuilder:
    """Write 1**power + 2**power + … + n**power as a loop whose multiplications are written out."""
    line = f"sum{power}(n: i64) -> i64"
    with module.function(params=["i64"], results=["i64"], signature=line) as f:
        n, total = 0, f.local("i64", "total")
        with f.block() as done, f.loop() as again:
            f.local_get(n).i64.eqz().br_if(done)
            f.i64.const(1)
            for _ in range(power):
                f.local_get(n).i64.mul()
            f.local_get(total).i64.add().local_set(total)
            f.local_get(n).i64.const(1).i64.sub().local_set(n)
            f.br(again)
        f.local_get(total)
    return f


async def main() -> None:
    module = ModuleBuilder("powers")
    for power in range(4):
        sum_of_powers(module, power)
    async with Runtime() as wasm:
        powers = await wasm.load(module.build())
        print([await powers.call(f"sum{power}", 10) for power in range(4)])


if __name__ == "__main__":
    asyncio.run(main())
