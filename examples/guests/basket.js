// Baskets of a shop: each is a list in the key-value store, changed by requests that may come at once.

import { kv } from "echelon";

export async function handle(request) {
  const customer = request.url.split("/").pop();
  if (!customer) return new Response("ask for a customer: /ada", { status: 404 });
  const key = ["baskets", customer];
  if (request.method !== "POST") return Response.json((await kv.get(key)).value ?? []);
  const { article, count } = await request.json().catch(() => ({}));
  if (typeof article !== "string" || !(count > 0)) {
    return Response.json({ error: 'send {"article": "…", "count": 1}' }, { status: 422 });
  }
  for (;;) {
    const entry = await kv.get(key);
    const items = [...(entry.value ?? []), { article, count }];
    if ((await kv.atomic().check(key, entry.versionstamp).set(key, items).commit()).ok) return Response.json(items, { status: 201 });
  }
}
