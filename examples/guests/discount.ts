// A customer's plug-in for examples/plugins.py: it sees the currency, and nothing else of the host.

import { env, log } from "echelon";

export function price(cents: i32, articles: string[]): i32 {
  if (articles.length >= 3 && env.get("SHOP_CURRENCY") == "EUR") {
    log.info("ten percent off " + articles.join(" and "));
    return cents * 90 / 100;
  }
  return cents;
}
