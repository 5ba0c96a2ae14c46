"""A language of one's own: `price * (1 + rate)` becomes a function of its names. `echelon run examples/compiler.py`

curl --get localhost:8000/formula --data-urlencode 'text=a * a + b' --data-urlencode 'values=3' -d values=4
"""

import ast
from contextlib import closing

from echelon import Application, HTTPError
from echelon.errors import CompileError, Diagnostic
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers.wat import assemble

OPERATORS = {ast.Add: "f64.add", ast.Sub: "f64.sub", ast.Mult: "f64.mul", ast.Div: "f64.div"}


class Formula(Compiler):
    name = "formula"
    suffixes = (".formula",)

    def probe(self) -> Probe:
        return Probe(found=True, version="1")

    async def compile(self, job: Job) -> Compiled:
        try:
            if len(job.text) > 1000 or "\0" in job.text:
                raise SyntaxError("a formula has at most 1000 characters, and no zero among them")
            tree = ast.parse(job.text.strip(), mode="eval").body
            names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})
            code = self.code(tree, names)
        except SyntaxError as exc:
            mistake = Diagnostic(exc.lineno or 0, exc.offset or 0, "error", exc.msg, job.entry)
            return Compiled(None, (mistake,))
        params = "(param f64)" * len(names)
        return Compiled(assemble(f'(module (func (export "value") {params} (result f64) {code}))'))

    def code(self, node: ast.expr, names: list[str]) -> str:
        match node:
            case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
                return f"{self.code(left, names)} {self.code(right, names)} {OPERATORS[type(operator)]}"
            case ast.Constant(float() as number) | ast.Constant(int() as number) if abs(number) < 1e300:
                return f"f64.const {float(number)!r}"
            case ast.Name(name):
                return f"local.get {names.index(name)}"
        raise SyntaxError("only + - * /, numbers and names", ("", node.lineno, node.col_offset + 1, ""))


app = Application()
app.generator.register(Formula())


@app.get("/formula")
async def formula(text: str, values: list[float]) -> float:
    """Compile a formula, once, and compute it for the values of its names, in the order of the alphabet."""
    try:
        with closing(await app.wasm.load(text, language="formula")) as module:
            return float(await module.call("value", *values))
    except (CompileError, TypeError) as exc:
        raise HTTPError(422, str(exc)) from exc
