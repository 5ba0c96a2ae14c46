// The key-value store of the host (docs/abi.md).
//
//     echelon::key user{"users", 7};
//     echelon::kv::set(user, "Ada");
#pragma once

#include <echelon.hpp>
#include <echelon/kv.h>

#include <concepts>
#include <variant>

namespace echelon {

// A whole number in a key that no int64_t holds: its decimal digits.
struct large { std::string digits; bool operator==(const large &) const = default; };

// Bytes, text, a whole number, a floating-point number, a truth value, or a larger whole number.
using part = std::variant<bytes, std::string, std::int64_t, double, bool, large>;

// A key of any number of parts: key{"users", 7, true}.
class key {
  std::vector<part> parts_;

  template <class T> static part part_of(const T &value) {
    if constexpr (std::same_as<T, bool> || std::same_as<T, part>) return value;
    else if constexpr (std::integral<T>) {
      static_assert(sizeof(T) < 8 || std::signed_integral<T>, "a whole number in a key is an int64_t");
      return static_cast<std::int64_t>(value);
    } else if constexpr (std::floating_point<T>) return static_cast<double>(value);
    else if constexpr (std::same_as<T, bytes> || std::same_as<T, large>) return value;
    else return std::string(std::string_view(value));
  }

 public:
  key() = default;
  template <class... T> requires(!(sizeof...(T) == 1 && (std::same_as<T, key> && ...)))
  explicit key(const T &...parts) : parts_{part_of(parts)...} {}

  const std::vector<part> &parts() const { return parts_; }
  bool operator==(const key &) const = default;

  // This key with one part more.
  template <class T> key with(const T &more) const {
    key made = *this;
    made.parts_.push_back(part_of(more));
    return made;
  }
};

namespace detail {

inline void write_key(writer &into, const key &key) {
  into.number(static_cast<std::uint32_t>(key.parts().size()));
  for (const part &one : key.parts()) {
    into.number(static_cast<std::uint32_t>(one.index()) + 1);
    std::visit([&into](const auto &value) {
      using T = std::remove_cvref_t<decltype(value)>;
      if constexpr (std::same_as<T, bool>) into.number(value);
      else if constexpr (std::same_as<T, large>) into.content(value.digits);
      else if constexpr (std::is_arithmetic_v<T>) into.raw(value);
      else into.content({reinterpret_cast<const char *>(value.data()), value.size()});
    }, one);
  }
}
inline part read_part(reader &from) {
  switch (from.number()) {
    case ECHELON_PART_TEXT: return from.content();
    case ECHELON_PART_INT: return from.raw<std::int64_t>();
    case ECHELON_PART_FLOAT: return from.raw<double>();
    case ECHELON_PART_BOOL: return from.number() != 0;
    case ECHELON_PART_LARGE: return large{from.content()};
    default: break;
  }
  std::string content = from.content();
  return bytes(content.begin(), content.end());
}
inline key read_key(reader &from) {
  key made;
  for (std::uint32_t left = from.number(); left; left--) made = made.with(read_part(from));
  return made;
}

}  // namespace detail

namespace kv {

using milliseconds = std::int64_t;
enum class kind : std::uint32_t { bytes, text, json, number };

// What is under a key. `content` is text, JSON or bytes.
struct entry {
  echelon::key key;
  std::string versionstamp;
  kv::kind kind;
  std::string content;

  // The number that sums, minimums and maximums work on; ends the call when it is none.
  std::uint64_t number() const {
    if (kind != kind::number) fail("the entry is no number");
    return detail::reader(content).raw<std::uint64_t>();
  }
};

// A value to store: text, bytes, JSON, or an unsigned number for sums.
class value {
 public:
  kv::kind kind;
  std::string content;

  template <class T> requires std::convertible_to<T, std::string_view>
  value(const T &text) : kind(kind::text), content(std::string_view(text)) {}
  value(const bytes &content) : kind(kind::bytes), content(content.begin(), content.end()) {}
  value(const json &content) : kind(kind::json), content(content.text) {}
  value(std::unsigned_integral auto number) : kind(kind::number) {
    detail::writer into;
    into.raw(static_cast<std::uint64_t>(number));
    content = into.buffer();
  }
};

namespace detail {

using namespace echelon::detail;

inline std::string encoded(const key &key) {
  writer into;
  write_key(into, key);
  return into.buffer();
}
inline entry read_entry(key key, reader &from) {
  entry made;
  made.key = std::move(key), made.versionstamp = from.content();
  made.kind = static_cast<kind>(from.number()), made.content = from.content();
  return made;
}

}  // namespace detail

inline std::optional<entry> get(const key &key) {
  std::string name = detail::encoded(key);
  auto found = detail::taken(echelon_host_kv_get(name.data(), name.size()));
  if (!found) return std::nullopt;
  detail::reader from(*found);
  return detail::read_entry(key, from);
}

// Store a value for some time, or for ever when it is 0; gives the versionstamp.
inline std::string set(const key &key, const value &value, milliseconds time = 0) {
  std::string name = detail::encoded(key);
  auto kind = static_cast<std::uint32_t>(value.kind);
  return detail::taken(echelon_host_kv_set(name.data(), name.size(), kind, value.content.data(), value.content.size(), time))
      .value_or("");
}

inline void remove(const key &key) {
  std::string name = detail::encoded(key);
  echelon_host_kv_delete(name.data(), name.size());
}

// Which entries below a prefix: from `start` on, before `end`, at most `limit`. `cursor` is that of the page before.
struct listing {
  key prefix;
  std::uint32_t limit = 100;
  bool reverse = false;
  std::string cursor = {};
  std::optional<key> start = {}, end = {};
};

// Some entries; an empty `cursor` says that there are no more.
struct page {
  std::vector<entry> entries;
  std::string cursor;
};

inline page list(const listing &what) {
  detail::writer into;
  detail::write_key(into, what.prefix);
  for (const auto *bound : {&what.start, &what.end}) {
    into.number(bound->has_value());
    if (*bound) detail::write_key(into, **bound);
  }
  into.number(what.limit), into.number(what.reverse), into.content(what.cursor);
  std::string found = detail::taken(echelon_host_kv_list(into.buffer().data(), into.buffer().size())).value_or("");
  detail::reader from(found);
  page made;
  for (std::uint32_t left = from.number(); left; left--) {
    key key = detail::read_key(from);
    made.entries.push_back(detail::read_entry(std::move(key), from));
  }
  made.cursor = from.content();
  return made;
}

// Checks and changes that happen together or not at all: atomic().check(key, stamp).set(key, "x").commit().
class atomic {
  std::uint32_t check_count_ = 0, change_count_ = 0;
  detail::writer checks_, changes_;

  atomic &begin(std::uint32_t action, const key &key) {
    change_count_++;
    changes_.number(action);
    detail::write_key(changes_, key);
    return *this;
  }
  atomic &count(std::uint32_t action, const key &key, std::uint64_t number) {
    begin(action, key);
    changes_.raw(number);
    return *this;
  }

 public:
  // Require that a key still has this versionstamp; an empty one requires that there is no entry.
  atomic &check(const key &key, std::string_view versionstamp) {
    check_count_++;
    detail::write_key(checks_, key);
    checks_.content(versionstamp);
    return *this;
  }
  atomic &set(const key &key, const value &value, milliseconds time = 0) {
    begin(1, key);
    changes_.raw(time), changes_.number(static_cast<std::uint32_t>(value.kind)), changes_.content(value.content);
    return *this;
  }
  atomic &remove(const key &key) { return begin(2, key); }
  // Change the number under a key, where none counts as 0.
  atomic &sum(const key &key, std::uint64_t number) { return count(3, key, number); }
  atomic &min(const key &key, std::uint64_t number) { return count(4, key, number); }
  atomic &max(const key &key, std::uint64_t number) { return count(5, key, number); }

  // Do it; gives the versionstamp, none when a check failed and nothing was changed.
  std::optional<std::string> commit() const {
    detail::writer into;
    into.number(check_count_), into.append(checks_.buffer());
    into.number(change_count_), into.append(changes_.buffer());
    return detail::taken(echelon_host_kv_atomic(into.buffer().data(), into.buffer().size()));
  }
};

}  // namespace kv
}  // namespace echelon
