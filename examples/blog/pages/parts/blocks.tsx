// Blocks as elements: the only way from what somebody wrote to the page.

import type { Block, Span } from "./types";

const plain = (line: Span[]) => line.map((span) => span.text).join("");

function Line({ spans }: { spans: Span[] }) {
  return <>{spans.map((span, index) => <Piece key={index} span={span} />)}</>;
}

function Piece({ span }: { span: Span }) {
  switch (span.kind) {
    case "strong": return <strong>{span.text}</strong>;
    case "em": return <em>{span.text}</em>;
    case "code": return <code>{span.text}</code>;
    case "link": return <a href={span.href} rel="nofollow ugc">{span.text}</a>;
    default: return <>{span.text}</>;
  }
}

export function Blocks({ blocks, level = 2 }: { blocks: Block[]; level?: 2 | 4 }) {
  const Heading = level === 2 ? "h2" : "h4";
  return (
    <>
      {blocks.map((block, index) => {
        const first = block.lines[0];
        switch (block.kind) {
          case "heading": return <Heading key={index}><Line spans={first} /></Heading>;
          case "quote": return <blockquote key={index}><p><Line spans={first} /></p></blockquote>;
          case "list": return <ul key={index}>{block.lines.map((line, at) => <li key={at}><Line spans={line} /></li>)}</ul>;
          case "code": return <pre key={index} tabIndex={0}><code>{block.lines.map(plain).join("\n")}</code></pre>;
          default: return <p key={index}><Line spans={first} /></p>;
        }
      })}
    </>
  );
}
