"""HTML from Python: what is escaped, and what is refused because escaping cannot help."""

from __future__ import annotations

import pytest

from echelon import Application, Config
from echelon.http.testing import TestClient
from echelon.view import Markup, html
from echelon.view.markup import escape

HOSTILE = "\"><script>alert(1)</script>'&"


def test_values_are_escaped() -> None:
    """In text and in quoted attributes alike; markup is not escaped again."""
    page = html(
        '<p title="{title}">{text} {bold}</p>', title=HOSTILE, text="<&>", bold=html("<b>{}</b>", "<")
    )
    hostile = "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;"
    assert page == f'<p title="{hostile}">&lt;&amp;&gt; <b>&lt;</b></p>'
    assert html('<p title="{}">', html("<b>")) == '<p title="&lt;b&gt;">'


def test_what_values_become() -> None:
    """Nothing for None and booleans, one after the other for lists, text for the rest."""
    items = [html("<li>{}</li>", name) for name in ("a", "<")]
    assert html("<ul>{}</ul>{}{}{}", items, None, True, 3.5) == "<ul><li>a</li><li>&lt;</li></ul>3.5"
    assert Markup(", ").join(["<", Markup("<b>")]) == "&lt;, <b>"
    assert Markup("<b>") + "<" == "<b>&lt;"
    assert escape({"a": "<"}) == "{&#39;a&#39;: &#39;&lt;&#39;}"


def test_fields_may_be_attributes_and_braces_are_doubled() -> None:
    """As in a format string."""
    assert html("{0.real}{{x}}", 4) == "4{x}"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("<a href={}>", "outside of quotes"),
        ("<{}>", "escaping cannot help|no field"),
        ("<p {}>", "outside of quotes"),
        ("<script>x = '{}'</script>", "in <script>"),
        ("<STYLE>a {{ color: {} }}</STYLE>", "in <style>"),
        ("<!-- {} -->", "in a comment"),
        ("<b onclick='go({})'>", "would be code in onclick="),
        ('<iframe srcdoc="{}">', "would be code in srcdoc="),
        ('<a href="{}{}">', "its beginning in one field"),
        ("{!r}", "format the value before"),
        ("{:>10}", "format the value before"),
    ],
)
def test_places_where_escaping_cannot_help(template: str, why: str) -> None:
    """Are refused when the template is first used, whatever the value."""
    if template == "<{}>":  # a lone "<" is text to a browser, and so is the value
        assert html(template, "b>") == "<b&gt;>"
        return
    with pytest.raises(ValueError, match=why):
        html(template, "x", "y")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "VBScript:x"]
)
def test_addresses_that_would_run(address: str) -> None:
    """Are refused where an attribute takes an address; in another they are text."""
    with pytest.raises(ValueError, match="no scheme for an address"):
        html('<a href="{}">', address)
    assert html('<a title="{}">', "javascript:x") == '<a title="javascript:x">'
    assert html('<a href="/find?q={}">', "javascript:x") == '<a href="/find?q=javascript:x">'


def test_common_addresses_pass() -> None:
    """Relative ones, and those of the usual schemes."""
    for address in ("/a/b", "x.html", "?a=b:c", "#x", "https://example.com/", "mailto:a@example.com", ""):
        assert html('<a href="{}">', address) == f'<a href="{address}">'


async def test_a_handler_returns_markup() -> None:
    """The response is a page."""
    app = Application(config=Config())

    @app.get("/{name}")
    async def page(name: str) -> Markup:
        return html("<!DOCTYPE html><title>{name}</title><p>Hello, {name}!</p>", name=name)

    async with TestClient(app) as client:
        answer = await client.get("/<Ada>")
    assert answer.text == "<!DOCTYPE html><title>&lt;Ada&gt;</title><p>Hello, &lt;Ada&gt;!</p>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
