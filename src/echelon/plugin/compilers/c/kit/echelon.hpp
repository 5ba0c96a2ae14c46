// What a guest in C++ uses of its host (docs/c.md):
//
//     #include <echelon.hpp>
//
//     std::string greet(std::string_view who) { return "Hello, " + std::string(who) + "!"; }
//     ECHELON_FUNCTION(greet, who)
//
// The function's types are its signature, see echelon/types.hpp; the names of its parameters are for its callers. Results
// stay until the next call. There are no exceptions: echelon::fail() ends the call.
#pragma once

#include <echelon.h>
#include <echelon/types.hpp>

#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace echelon {

using bytes = std::vector<std::uint8_t>;

// End the call; its caller reads the message with this file and line.
[[noreturn]] inline void fail(std::string_view message, std::source_location at = std::source_location::current()) {
  std::string_view file = at.file_name();
  echelon_host_abort(message.data(), message.size(), file.data(), file.size(), at.line(), 0);
  __builtin_trap();
}

namespace detail {

inline std::string text_of(echelon_text text) { return {text.at, text.length}; }

// What the last call of the host found.
inline std::optional<std::string> taken(std::int32_t length) {
  if (length < 0) return std::nullopt;
  std::string found(static_cast<std::size_t>(length), '\0');
  echelon_host_take(found.data());
  return found;
}

// A buffer for the host; numbers are little-endian, as memory is.
class writer {
  std::string made_;

 public:
  const std::string &buffer() const { return made_; }
  template <class T> void raw(T value) { made_.append(reinterpret_cast<const char *>(&value), sizeof value); }
  void append(std::string_view content) { made_ += content; }
  void number(std::uint32_t value) { raw(value); }
  void content(std::string_view content) { number(static_cast<std::uint32_t>(content.size())), append(content); }
};

// A buffer of the host, read from the front.
class reader {
  std::string_view left_;

 public:
  explicit reader(std::string_view buffer) : left_(buffer) {}
  std::string_view take(std::size_t size) {
    if (left_.size() < size) fail("a buffer of the host ends too early");
    std::string_view found = left_.substr(0, size);
    left_.remove_prefix(size);
    return found;
  }
  template <class T> T raw() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::uint32_t number() { return raw<std::uint32_t>(); }
  std::string content() { return std::string(take(number())); }
};

}  // namespace detail

namespace log {
inline void debug(std::string_view text) { echelon_host_log(ECHELON_DEBUG, text.data(), text.size()); }
inline void info(std::string_view text) { echelon_host_log(ECHELON_INFO, text.data(), text.size()); }
inline void warning(std::string_view text) { echelon_host_log(ECHELON_WARNING, text.data(), text.size()); }
inline void error(std::string_view text) { echelon_host_log(ECHELON_ERROR, text.data(), text.size()); }
}  // namespace log

// The value of a variable, none when it is not set.
inline std::optional<std::string> env(std::string_view name) {
  return detail::taken(echelon_host_env_get(name.data(), name.size()));
}

namespace file {
// The content of a file, none when there is no such file.
inline std::optional<std::string> read(std::string_view path) {
  return detail::taken(echelon_host_read_file(path.data(), path.size()));
}
inline void write(std::string_view path, std::string_view content) {
  echelon_host_write_file(path.data(), path.size(), content.data(), content.size());
}
}  // namespace file

}  // namespace echelon

#include <echelon/http.hpp>
#include <echelon/kv.hpp>
