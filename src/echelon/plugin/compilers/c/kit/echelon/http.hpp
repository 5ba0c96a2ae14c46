// Answering HTTP, and asking others (docs/abi.md).
//
//     echelon::response answer(const echelon::request &request) { return echelon::response("hello " + request.path); }
//     ECHELON_HANDLER(answer)
#pragma once

#include <echelon.hpp>

namespace echelon {

namespace detail {

inline bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && !strncasecmp(a.data(), b.data(), a.size());
}

}  // namespace detail

// Names and values in order; a name may stand more than once.
class headers {
  std::vector<std::pair<std::string, std::string>> all_;

 public:
  headers() = default;
  headers(std::initializer_list<std::pair<std::string, std::string>> all) : all_(all) {}
  const auto &all() const { return all_; }

  // The first value of a name, in any case of letters.
  std::optional<std::string_view> get(std::string_view name) const {
    for (const auto &[other, value] : all_)
      if (detail::same_name(name, other)) return value;
    return std::nullopt;
  }
  void add(std::string_view name, std::string_view value) { all_.emplace_back(name, value); }
  void set(std::string_view name, std::string_view value) {
    std::erase_if(all_, [name](const auto &one) { return detail::same_name(name, one.first); });
    add(name, value);
  }
};

// A request to this guest; `path` is relative to where it is mounted.
struct request {
  std::string method, path, query;
  echelon::headers headers;
  std::string body;
};

struct response {
  std::string body;
  std::uint32_t status = 200;
  echelon::headers headers;

  explicit response(std::string_view body = "", std::uint32_t status = 200,
                    std::string_view type = "text/plain; charset=utf-8")
      : body(body), status(status), headers{{"content-type", std::string(type)}} {}
  explicit response(const json &body, std::uint32_t status = 200) : response(body.text, status, "application/json") {}
};

// A request of this guest. Redirects are followed, at most 5 of them.
struct asking {
  std::string url, method = "GET";
  echelon::headers headers = {};
  std::string body = {};
  bool follow = true;
};

// What it brought: where it ended, and with what. A status of 0 means that there was no answer; `body` then says why.
struct answer {
  std::uint32_t status;
  std::string url;
  echelon::headers headers;
  std::string body;
  bool ok() const { return status >= 200 && status < 300; }
};

namespace detail {

ECHELON_HOST("fetch") std::int32_t host_fetch(const void *, std::size_t);

inline headers read_headers(reader &from) {
  headers made;
  for (std::uint32_t left = from.number(); left; left--) {
    std::string name = from.content();
    made.add(name, from.content());
  }
  return made;
}
inline void write_headers(writer &into, const headers &headers) {
  into.number(static_cast<std::uint32_t>(headers.all().size()));
  for (const auto &[name, value] : headers.all()) into.content(name), into.content(value);
}
inline void require_version(reader &from) {
  if (from.number() != 1) fail("this guest speaks version 1 of the HTTP ABI");
}
inline request read_request(std::span<const std::uint8_t> raw) {
  reader from({reinterpret_cast<const char *>(raw.data()), raw.size()});
  require_version(from);
  request made;
  made.method = from.content(), made.path = from.content(), made.query = from.content();
  made.headers = read_headers(from), made.body = from.content();
  return made;
}
inline bytes write_response(const response &given) {
  writer into;
  into.number(1), into.number(given.status);
  write_headers(into, given.headers);
  into.content(given.body);
  return {into.buffer().begin(), into.buffer().end()};
}

}  // namespace detail

// Ask; a host that is not granted ends the call.
inline answer fetch(const asking &what) {
  detail::writer into;
  into.number(1), into.content(what.method), into.content(what.url), into.number(what.follow ? 0 : 1);
  detail::write_headers(into, what.headers);
  into.content(what.body);
  std::string found = detail::taken(detail::host_fetch(into.buffer().data(), into.buffer().size())).value_or("");
  detail::reader from(found);
  detail::require_version(from);
  answer made;
  made.status = from.number(), made.url = from.content();
  made.headers = detail::read_headers(from), made.body = from.content();
  return made;
}
inline answer fetch(std::string_view url) { return fetch(asking{.url = std::string(url)}); }

}  // namespace echelon

// Answer HTTP with a function that takes a request and returns a response.
#define ECHELON_HANDLER(callable)                                                                       \
  static ::echelon::bytes echelon_handle(std::span<const std::uint8_t> raw) {                           \
    return ::echelon::detail::write_response(callable(::echelon::detail::read_request(raw)));           \
  }                                                                                                     \
  ECHELON_FUNCTION_AS(handle, echelon_handle, request)
