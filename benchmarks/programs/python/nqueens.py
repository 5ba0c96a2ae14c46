"""In how many ways n queens can stand on n * n fields without threatening each other."""


def place(row: int, n: int, columns: list[bool], rising: list[bool], falling: list[bool]) -> int:
    if row == n:
        return 1
    ways = 0
    for column in range(n):
        if columns[column] or rising[row + column] or falling[row - column + n - 1]:
            continue
        columns[column] = rising[row + column] = falling[row - column + n - 1] = True
        ways += place(row + 1, n, columns, rising, falling)
        columns[column] = rising[row + column] = falling[row - column + n - 1] = False
    return ways


def run(n: int) -> int:
    return place(0, n, [False] * n, [False] * (2 * n - 1), [False] * (2 * n - 1))
