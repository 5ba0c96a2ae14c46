// Arguments between a form and JSON. Numbers stay the text that was typed: JSON.parse would round large integers.

import type { Param } from "./types";

const NUMBER = /^-?(\d+)(\.\d+)?([eE][-+]?\d+)?$/;
const SPECIAL = ["NaN", "Infinity", "-Infinity"];

export function isNumber(type: string): boolean {
  return /^([iuf](8|16|32|64)|isize|usize|int|float)$/.test(type);
}

/** Return the argument as JSON; throws an error that says what to type. */
export function toJson(param: Param, text: string): string {
  const typed = text.trim();
  if (param.type === "bool") return text === "true" ? "true" : "false";
  if (param.type === "str" || param.type === "bytes") return JSON.stringify(text);
  if (isNumber(param.type)) {
    if (SPECIAL.includes(typed) && param.type.startsWith("f")) return JSON.stringify(typed);
    if (NUMBER.test(typed)) return typed;
    throw new Error(`${param.name || "the argument"}: "${typed}" is not a number`);
  }
  try {
    JSON.parse(typed);
  } catch {
    throw new Error(`${param.name || "the argument"} (${param.type}): write JSON, such as "text", 3, [1, 2] or null`);
  }
  return typed;
}

/** Return what the field of an argument shows for a piece of JSON. */
export function toField(type: string, json: string): string {
  return (type === "str" || type === "bytes") && json.startsWith('"') ? JSON.parse(json) : json;
}

/** Split the inside of a JSON array at its commas: 'a, [1, 2]' has two parts. */
export function split(list: string): string[] {
  const parts: string[] = [];
  let depth = 0, quoted = false, start = 0;
  for (let i = 0; i < list.length; i++) {
    const sign = list[i];
    if (quoted) {
      if (sign === "\\") i++;
      else if (sign === '"') quoted = false;
    } else if (sign === '"') quoted = true;
    else if ("[{".includes(sign)) depth++;
    else if ("]}".includes(sign)) depth--;
    else if (sign === "," && depth === 0) {
      parts.push(list.slice(start, i).trim());
      start = i + 1;
    }
  }
  const last = list.slice(start).trim();
  return last || parts.length ? [...parts, last] : [];
}
