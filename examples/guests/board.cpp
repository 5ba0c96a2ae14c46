// A board of messages in the key-value store, over HTTP: POST adds one, GET shows the newest. It needs the permission
// `kv` for "board".
#include <echelon.hpp>

namespace kv = echelon::kv;

echelon::response add(const std::string &message) {
  echelon::key last("board", "last");
  for (;;) {
    auto found = kv::get(last);
    std::uint64_t number = found ? found->number() + 1 : 1;
    auto done = kv::atomic()
                    .check(last, found ? found->versionstamp : "")
                    .set(last, number)
                    .set(echelon::key("board", "message", static_cast<std::int64_t>(number)), message)
                    .commit();
    if (done) return echelon::response(std::to_string(number) + "\n", 201);
  }
}

echelon::response show() {
  std::string text;
  for (const auto &entry : kv::list({.prefix = echelon::key("board", "message"), .limit = 10, .reverse = true}).entries)
    text += std::to_string(std::get<std::int64_t>(entry.key.parts()[2])) + ": " + entry.content + "\n";
  return echelon::response(text);
}

echelon::response answer(const echelon::request &request) {
  if (request.method == "GET") return show();
  if (request.method == "POST" && !request.body.empty()) return add(request.body);
  echelon::response refusal("send me a message\n", 405);
  refusal.headers.set("allow", "GET, POST");
  return refusal;
}
ECHELON_HANDLER(answer)
