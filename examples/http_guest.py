"""A guest that answers HTTP, in a fresh sandbox for every request. `echelon run examples/http_guest.py`

curl -d 'three little words' localhost:8000/words?sort
"""

from pathlib import Path

from echelon import Application, Limits

GUESTS = Path(__file__).parent / "guests"

app = Application()
app.mount("/words", app.wasm.module(GUESTS / "words.ts", limits=Limits(memory="16MiB", time="100ms")))
