import { env, kv } from "echelon";

// Switch on "env" and "kv", or see what a denial says.
export function visit(name: string): string {
  const place = env.get("PLAYGROUND_PLACE");
  const key = kv.key("playground").text(name);
  const before = kv.get(key);
  const times: u64 = before === null ? 1 : before.number() + 1;
  kv.setNumber(key, times);
  return name + " was here " + times.toString() + " times, at " + (place === null ? "an unknown place" : place);
}
