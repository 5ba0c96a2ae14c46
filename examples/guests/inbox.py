"""An inbox in Python with its standard library: keeps letters by date, answers HTTP. Run it as language "cpython"."""

import datetime
import email.message
import email.parser

import echelon


def handle(request: echelon.Request) -> echelon.Response:
    if request.method == "GET":
        letters = [entry.value for entry in echelon.kv.list(("letters",), limit=20, reverse=True)]
        return echelon.Response.json(letters)
    letter = email.parser.Parser().parsestr(request.text())
    if not letter["subject"]:
        return echelon.Response("a letter needs a subject\n", status=422)
    return echelon.Response(f"letter {keep(letter)}\n", status=201)


def keep(letter: email.message.Message) -> int:
    """Store a letter under the next number and return that, whoever else does so at the same time."""
    while True:
        last = echelon.kv.get(("last",))
        number = (last.value or 0) + 1
        day = datetime.date.today().isoformat()
        kept = {"day": day, "subject": letter["subject"], "words": len(str(letter.get_payload()).split())}
        change = echelon.kv.atomic().check(last).set(("last",), number).set(("letters", number), kept)
        if change.commit().ok:
            return number
