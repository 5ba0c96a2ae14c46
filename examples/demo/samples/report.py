import statistics
from collections import Counter


def report(text: str) -> dict:
    words = text.lower().split()
    print(f"{len(words)} words")
    return {
        "common": Counter(words).most_common(2),
        "length": statistics.mean(map(len, words)),
    }
