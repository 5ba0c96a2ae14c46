"""The product of two matrices of n * n numbers. Gives the number in its middle."""

Matrix = list[list[float]]


def matrix(n: int, seed: float) -> Matrix:
    tmp = seed / n / n
    return [[tmp * (i - j) * (i + j) for j in range(n)] for i in range(n)]


def transpose(b: Matrix) -> Matrix:
    return [[row[j] for row in b] for j in range(len(b[0]))]


def matmul(a: Matrix, b: Matrix) -> Matrix:
    result = []
    columns = transpose(b)
    for row in a:
        line = []
        for column in columns:
            total = 0.0
            for x, y in zip(row, column):
                total += x * y
            line.append(total)
        result.append(line)
    return result


def run(n: int) -> float:
    product = matmul(matrix(n, 1.0), matrix(n, 2.0))
    return product[n // 2][n // 2]
