"""How many primes there are below n."""


def run(n: int) -> int:
    composite = [False] * n
    found = 0
    for i in range(2, n):
        if composite[i]:
            continue
        found += 1
        for j in range(i, n, i):
            composite[j] = True
    return found
