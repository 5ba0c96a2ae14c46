"""Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.

Words have one to three letters of eight; they come from a simple generator.
"""

IM = 139968
IA = 3877
IC = 29573


def words(n: int) -> str:
    seed = 42
    made = []
    for _ in range(n):
        seed = (seed * IA + IC) % IM
        word = ""
        for _ in range(1 + seed * 3 // IM):
            seed = (seed * IA + IC) % IM
            word += chr(ord("a") + seed * 8 // IM)
        made.append(word)
    return " ".join(made)


def histogram(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def run(n: int) -> int:
    return sum(count * count for count in histogram(words(n)).values())
