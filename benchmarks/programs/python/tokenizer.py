"""Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers."""


def records(n: int) -> str:
    made = []
    for i in range(n):
        made.append(
            f'{{"id": {i}, "name": "item \\"{i % 100}\\"", "tags": ["a", "b"], '
            f'"price": {i % 1000}.5, "ok": {"true" if i % 2 else "false"}, "next": null}}'
        )
    return "[" + ",".join(made) + "]"


def tokenize(text: str) -> list[tuple[str, str]]:
    tokens = []
    at = 0
    while at < len(text):
        start = at
        c = text[at]
        if c.isspace():
            at += 1
            continue
        if c == '"':
            at += 1
            while text[at] != '"':
                if text[at] == "\\":
                    at += 1
                at += 1
            at += 1
            tokens.append(("string", text[start:at]))
        elif c.isdigit():
            while text[at].isdigit() or text[at] == ".":
                at += 1
            tokens.append(("number", text[start:at]))
        elif c.isalpha():
            while text[at].isalpha():
                at += 1
            tokens.append(("name", text[start:at]))
        else:
            at += 1
            tokens.append(("mark", c))
    return tokens


def run(n: int) -> float:
    tokens = tokenize(records(n))
    return len(tokens) + sum(float(text) for kind, text in tokens if kind == "number")
