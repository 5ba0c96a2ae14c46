// Takes texts apart: a little Markdown becomes blocks of spans, as data. The page makes elements of them, so whatever
// a stranger writes is text, never HTML.

const SPAN = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*|\[([^\]\n]+)\]\(((?:https?:\/\/|\/(?!\/)|#)[^)\s]{1,1900})\)/g;

/** Split a line into text, **strong**, *em*, `code` and [links](https://…). */
function spans(line) {
  const found = [];
  let end = 0;
  for (const match of line.matchAll(SPAN)) {
    if (match.index > end) found.push({ kind: "text", text: line.slice(end, match.index) });
    const [, code, strong, em, text, href] = match;
    if (code !== undefined) found.push({ kind: "code", text: code });
    else if (strong !== undefined) found.push({ kind: "strong", text: strong });
    else if (em !== undefined) found.push({ kind: "em", text: em });
    else found.push({ kind: "link", text, href });
    end = match.index + match[0].length;
  }
  if (end < line.length) found.push({ kind: "text", text: line.slice(end) });
  return found;
}

/** Make a block of the lines between two empty ones. */
function block(lines) {
  const all = (start) => lines.every((line) => line.startsWith(start));
  if (lines.length === 1 && all("## ")) return { kind: "heading", lines: [spans(lines[0].slice(3))] };
  if (all("- ")) return { kind: "list", lines: lines.map((line) => spans(line.slice(2))) };
  if (all("> ")) return { kind: "quote", lines: [spans(lines.map((line) => line.slice(2)).join(" "))] };
  if (all("    ")) return { kind: "code", lines: lines.map((line) => [{ kind: "text", text: line.slice(4) }]) };
  return { kind: "paragraph", lines: [spans(lines.join(" "))] };
}

const parse = (text) =>
  text.replaceAll("\r\n", "\n").split(/\n[ \t]*\n/).map((part) => part.split("\n").filter((line) => line.trim() !== ""))
    .filter((lines) => lines.length > 0).map(block);

/** Return the blocks of each text. */
export function blocks(texts) {
  return texts.map(parse);
}
