// Counts visits of each path in the key-value store, and answers HTTP. It needs the permission `kv` for its keys.
#include <echelon.h>

ECHELON_EXPORT("handle(request: bytes) -> bytes")
echelon_result handle(ECHELON_BYTES(raw)) {
  echelon_request request = echelon_read(raw, raw_length);
  char path[64];
  snprintf(path, sizeof path, "%.*s", (int)request.path.length, request.path.at);
  const char *before = echelon_kv_get("visits", path);
  char text[32];
  snprintf(text, sizeof text, "%d", before ? atoi(before) + 1 : 1);
  echelon_kv_set("visits", path, text);
  echelon_log(ECHELON_INFO, "visit %s of %s", text, path);
  return echelon_respond(200, "text/plain; charset=utf-8", text, strlen(text));
}
