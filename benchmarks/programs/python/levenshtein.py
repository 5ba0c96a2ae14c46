"""How many changes make one text of n letters another. The letters come from a simple generator."""

IM = 139968
IA = 3877
IC = 29573


def letters(n: int, seed: int) -> tuple[str, int]:
    made = []
    for _ in range(n):
        seed = (seed * IA + IC) % IM
        made.append(chr(ord("a") + seed * 4 // IM))
    return "".join(made), seed


def levenshtein(s1: str, s2: str) -> int:
    if len(s1) < len(s2):
        return levenshtein(s2, s1)
    if len(s2) == 0:
        return len(s1)

    previous_row = list(range(len(s2) + 1))
    for i, c1 in enumerate(s1):
        current_row = [i + 1]
        for j, c2 in enumerate(s2):
            insertions = previous_row[j + 1] + 1
            deletions = current_row[j] + 1
            substitutions = previous_row[j] + (c1 != c2)
            current_row.append(min(insertions, deletions, substitutions))
        previous_row = current_row

    return previous_row[-1]


def run(n: int) -> int:
    a, seed = letters(n, 42)
    b, seed = letters(n, seed)
    return levenshtein(a, b)
