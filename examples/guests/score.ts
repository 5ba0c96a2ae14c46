// Keeps the best score of each player, and answers HTTP. It needs the permission `kv` for the keys below "scores".

import { http, kv, log } from "echelon";

export function handle(raw: ArrayBuffer): ArrayBuffer {
  return http.serve(raw, answer);
}

function answer(request: http.Request): http.Response {
  const player = request.path.slice(1);
  if (player.length == 0) return http.text("ask for a player: /ada", 404);
  const key = kv.key("scores").text(player);
  if (request.method == "POST") {
    const points = request.text().trim();
    if (points.length == 0 || points.length > 9 || isNaN(parseInt(points))) return http.text("send a number", 422);
    kv.atomic().max(key, u64(parseInt(points))).commit();
    log.info(player + " has " + points);
  }
  const best = kv.get(key);
  if (best === null) return http.text("no score yet", 404);
  return http.text(best.number().toString() + "\n");
}
