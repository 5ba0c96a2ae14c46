// preact-render-to-string, in a module beside this one. One line in, such as {"count": 100, "props": {…}}: the page is
// rendered that often; one line out: the microseconds that each took, or with a count of 0 the HTML.
import { renderPage } from "./peer.mjs";

const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let text = "";
for await (const part of input) {
  text += part;
  for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
    const { count, props } = JSON.parse(text.slice(0, end));
    const began = performance.now();
    for (let n = 0; n < count; n++) renderPage(props);
    console.log(JSON.stringify(count ? (performance.now() - began) * 1000 / count : renderPage(props)));
  }
}
