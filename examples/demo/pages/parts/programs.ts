// Programs between the editor, the examples and other languages. What a visitor typed is kept, whatever is opened.

import type { Offer, Sample } from "./types";

export type Program = Omit<Sample, "title">;
const KEPT = "playground";

/** Return the sample that a program is, as it was offered; undefined for a visitor's own text. */
export function untouched(offers: Offer[], language: string, source: string): Sample | undefined {
  return offers.find((offer) => offer.name === language)?.samples.find((sample) => sample.source === source);
}

/** Return what the editor shows at first in a language. */
export function beginning(offers: Offer[], language: string): Program {
  const sample = offers.find((offer) => offer.name === language)?.samples[0];
  return sample ?? { language, source: "", function: "", args: "" };
}

/** Return what was typed before the page came to life, which the state of the page would replace. */
export function typedBefore(first: string): string {
  if (typeof HTMLTextAreaElement === "undefined") return first; // on the server
  const field = document.getElementById("editor");
  return field instanceof HTMLTextAreaElement ? field.value : first;
}

/** Read the visitor's own programs by language; they last as long as the tab, also when the page is loaded anew. */
export function recall(): Record<string, Program> {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {}; // storage may be switched off
  }
}

export function remember(own: Record<string, Program>): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(own));
  } catch { /* storage may be switched off or full: then they last as long as the page */ }
}
