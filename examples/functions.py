"""Functions of Python that run as WebAssembly: `echelon run examples/functions.py`, then /mandelbrot?x=-0.5&y=0.5"""

from dataclasses import dataclass

from echelon import Application, Limits

app = Application()
LIMIT = 1000


@dataclass
class Point:
    x: float
    y: float

    def outside(self) -> bool:
        return self.x * self.x + self.y * self.y > 4.0


@app.wasm.function
def mandelbrot(x: float, y: float) -> int:
    point = Point(0.0, 0.0)
    for step in range(LIMIT):
        if point.outside():
            return step
        point = Point(point.x * point.x - point.y * point.y + x, 2.0 * point.x * point.y + y)
    return LIMIT


@app.wasm.function(limits=Limits(time="500ms"))
def row(y: float, width: int) -> str:
    """Draw one line of the set."""
    shades = " .:-=+*#%@"
    line = ""
    for column in range(width):
        steps = mandelbrot(3.0 * column / width - 2.0, y)
        line += shades[min(9, steps // 3)]
    return line


@app.get("/mandelbrot")
async def escape_time(x: float, y: float) -> dict[str, int]:
    return {"steps": await mandelbrot(x, y)}


@app.get("/row")
async def draw(y: float = 0.0, width: int = 78) -> str:
    return await row(y, width)
