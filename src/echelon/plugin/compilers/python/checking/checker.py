"""The checker of expressions and statements, for scopes."""

from __future__ import annotations

from typing import Final

from echelon.plugin.compilers.python.checking import expressions, statements


class Checker:
    """Checks what a function is made of; raises Refusal."""

    expression = staticmethod(expressions.check)
    body = staticmethod(statements.check_body)


CHECKER: Final = Checker()
