// Deno KV, as its documentation uses it. One line in, such as {"op": "get", "count": 1000}: the work is done that
// often; one line out: the microseconds that each took.

const kv = await Deno.openKv(Deno.args[0]);
const user = (n) => ({ name: `user ${n}`, email: `user${n}@example.com`, age: n % 90, tags: ["a", "b"] });

async function together(count, tasks, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: tasks }, worker));
}

let handled;
const operations = {
  async fill(count) {
    for (let at = 0; at < count; at += 100) {
      const commit = kv.atomic();
      for (let n = at; n < at + 100; n++) commit.set(["users", n], user(n));
      await commit.commit();
    }
  },
  async get(count) {
    for (let n = 0; n < count; n++) await kv.get(["users", n % 1000]);
  },
  async get_many(count) {
    for (let n = 0; n < count; n++) {
      await kv.getMany(Array.from({ length: 10 }, (_, at) => ["users", (n * 10 + at) % 1000]));
    }
  },
  async list(count) {
    for (let n = 0; n < count; n++) {
      let found = 0;
      for await (const _ of kv.list({ prefix: ["users"] })) found++;
      if (found !== 1000) throw new Error(`${found} entries instead of 1000`);
    }
  },
  async set(count) {
    for (let n = 0; n < count; n++) await kv.set(["written", n % 1000], user(n));
  },
  async set_together(count) {
    await together(count, 64, (n) => kv.set(["written", n % 1000], user(n)));
  },
  async queue(count) {
    handled ??= (kv.listenQueue((message) => handled(message)), null);
    for (let n = 0; n < count; n++) {
      const arrived = new Promise((resolve) => handled = resolve);
      await kv.enqueue(n);
      if (await arrived !== n) throw new Error("another message arrived");
    }
  },
};

async function answer({ op, count }) {
  if (op === "read") return (await kv.get(["users", count])).value;
  const began = performance.now();
  await operations[op](count);
  return (performance.now() - began) * 1000 / count;
}

const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let text = "";
for await (const part of input) {
  text += part;
  for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
    console.log(JSON.stringify(await answer(JSON.parse(text.slice(0, end)))));
  }
}
kv.close();
