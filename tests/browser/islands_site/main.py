"""Pages with islands of every kind."""

from echelon import Application

HOSTILE = "</script><script>alert(1)</script> \"'&amp; <b> \u2028\u2029 \U0001f600 ${x} {{y}}"

app = Application()
app.pages("pages", props={"/": lambda: {"text": HOSTILE, "numbers": [1, 2.5, None, True]}})
