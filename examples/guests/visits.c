// Counts visits of each path in the key-value store, and answers HTTP. It needs the permission `kv` for its keys.
#include <echelon.h>

ECHELON_EXPORT("handle(request: bytes) -> bytes")
echelon_result handle(ECHELON_BYTES(raw)) {
  echelon_request request = echelon_read(raw, raw_length);
  echelon_key key = echelon_key_text(echelon_key_of("visits"), request.path.at, request.path.length);
  echelon_atomic visit = {0};
  echelon_atomic_sum(&visit, key, 1);
  echelon_atomic_commit(&visit);
  uint64_t count = echelon_entry_number(echelon_kv_get(key));
  echelon_log(ECHELON_INFO, "visit %llu of %.*s", count, (int)request.path.length, request.path.at);
  char text[32];
  int length = snprintf(text, sizeof text, "%llu", count);
  return echelon_respond(200, "text/plain; charset=utf-8", text, (size_t)length);
}
