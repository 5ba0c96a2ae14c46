// Asks the shop of examples/host_functions.py. Texts cross as UTF-8: a pointer and a length.

import { host } from "echelon";

// @ts-ignore: decorator
@external("shop", "price")
declare function price(article: usize, length: i32): i32;
// @ts-ignore: decorator
@external("shop", "describe")
declare function describe(article: usize, length: i32): i32;

export function label(article: string): string {
  const name = String.UTF8.encode(article);
  const at = changetype<usize>(name);
  const text = host.takeText(describe(at, name.byteLength));
  if (text === null) return article + " is not sold here";
  return text + ", " + price(at, name.byteLength).toString() + " cents";
}
