"""How many of n * n points are in the Mandelbrot set after 50 steps."""


def escapes(cr: float, ci: float) -> bool:
    zr = zi = 0.0
    for _ in range(50):
        if zr * zr + zi * zi > 4.0:
            return True
        zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
    return False


def run(n: int) -> int:
    inside = 0
    for row in range(n):
        ci = 2.0 * row / n - 1.0
        for column in range(n):
            cr = 2.0 * column / n - 1.5
            if not escapes(cr, ci):
                inside += 1
    return inside
