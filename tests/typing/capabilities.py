"""Host functions, grants and credentials. Type-checked, never run."""

from typing import assert_type

from echelon import Permissions, Runtime
from echelon.config import Config, Secret
from echelon.kv import Kv
from echelon.runtime.grants import Answer, Grants, Question
from echelon.runtime.host import Call
from echelon.runtime.module import Module
from echelon.runtime.permissions import GrantState, Use
from echelon.runtime.types import F32, I32, U64

wasm = Runtime()
shop = wasm.host("shop")


@shop
def price(article: str, rebate: F32) -> I32:
    return round(450 * rebate)


@wasm.host("shop", name="stock")
async def stock_of(call: Call, articles: list[str]) -> dict[str, U64] | None:
    call.log("info", "asked")
    return dict.fromkeys(articles, 1)


assert_type(price("tea", 0.5), int)


def ask(question: Question) -> Answer:
    return Answer.YES if question.permission == "env" else Answer.NO


async def fresh() -> dict[str, str]:
    return {"authorization": "Bearer x"}


def change(module: Module, kv: Kv) -> None:
    grants = module.grants
    assert_type(grants, Grants)
    assert_type(grants.query("net", "example.com"), GrantState)
    assert_type(grants.revoke("kv", ["users", 1]), GrantState)
    grants.grant("read")
    grants.ask_somebody = ask
    module.runtime.kv = kv
    module.runtime.net.credentials.add("api.example.com", {"x-key": Secret("k")})
    module.runtime.net.credentials.add("*.example.com", fresh)
    uses: list[Use] = []
    module.permissions = module.permissions.watched(uses.append)
    assert_type(Config().permissions["plugin"].join(Permissions(env=True)), Permissions)
