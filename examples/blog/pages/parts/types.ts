// What the loaders in Python give to the pages.

export interface Summary { slug: string; title: string; day: string; lead: string }
export interface Comment { name: string; at: string; text: string }
export interface Span { kind: "text" | "strong" | "em" | "code" | "link"; text: string; href?: string }
export interface Block { kind: "heading" | "paragraph" | "quote" | "list" | "code"; lines: Span[][] }
