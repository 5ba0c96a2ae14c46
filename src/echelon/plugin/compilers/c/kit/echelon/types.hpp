// How values of C++ cross: the ABI `linear` of docs/abi.md, made of the types of functions.
//
// bool, integers, float and double are themselves; std::string and std::string_view are text; echelon::json is JSON;
// std::vector<uint8_t> and std::span<const uint8_t> are bytes; other std::vector and std::span<const> are lists;
// std::optional is an option; std::tuple and std::pair, as a result, are several results. Views lead into memory of the
// call, so they are for parameters.
#pragma once

#include <echelon.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace echelon {

// JSON as text: as a parameter what the caller gave, as a result what it is to get.
struct json { std::string text; };

namespace detail {

template <class T> concept number = std::is_arithmetic_v<T>;
template <class> inline constexpr bool unknown = false;
template <class T> struct list_of : std::false_type {};
template <class T> struct list_of<std::vector<T>> : std::true_type { using item = T; };
template <class T> struct list_of<std::span<const T>> : std::true_type { using item = T; };
template <class T> struct option_of : std::false_type {};
template <class T> struct option_of<std::optional<T>> : std::true_type { using item = T; };
template <class T> struct results_of : std::false_type {};
template <class... T> struct results_of<std::tuple<T...>> : std::true_type {};
template <class A, class B> struct results_of<std::pair<A, B>> : std::true_type {};

template <class T> concept text = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;
template <class T> concept list = list_of<T>::value;
template <class T> concept option = option_of<T>::value;
template <class T> concept several = results_of<T>::value;
template <class T> concept number_option = option<T> && number<typename option_of<T>::item>;

// --- the signature ---

template <class T> constexpr std::string name_of() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  else if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? "f32" : "f64";
  else if constexpr (std::is_integral_v<T>) {
    const char *bits = sizeof(T) == 1 ? "8" : sizeof(T) == 2 ? "16" : sizeof(T) == 4 ? "32" : "64";
    return std::string(std::is_signed_v<T> ? "i" : "u") + bits;
  } else if constexpr (text<T>) return "str";
  else if constexpr (std::is_same_v<T, json>) return "json";
  else if constexpr (list<T>) {
    using item = typename list_of<T>::item;
    if constexpr (std::is_same_v<item, std::uint8_t>) return "bytes";
    else return "list<" + name_of<item>() + ">";
  } else if constexpr (option<T>) return "option<" + name_of<typename option_of<T>::item>() + ">";
  else static_assert(unknown<T>, "a value of this type cannot cross: see echelon/types.hpp for those that can");
}

template <class T> struct results_name {
  static constexpr std::string make() { return name_of<T>(); }
};
template <class... T> struct results_name<std::tuple<T...>> {
  static constexpr std::string make() {
    std::string made;
    ((made += (made.empty() ? "" : ", ") + name_of<T>()), ...);
    return made;
  }
};
template <class A, class B> struct results_name<std::pair<A, B>> : results_name<std::tuple<A, B>> {};

// --- memory ---

template <class T> constexpr std::size_t align_in_memory() {
  if constexpr (number<T>) return alignof(T);
  else if constexpr (number_option<T>) return alignof(typename option_of<T>::item);
  else return 4;
}
template <class T> constexpr std::size_t size_in_memory() {
  if constexpr (number<T>) return sizeof(T);
  else if constexpr (number_option<T>) return 2 * sizeof(typename option_of<T>::item);
  else return 8;
}

template <class T> T read_slice(const char *at, std::size_t length);

template <class T> T read(const char *at) {
  if constexpr (number<T>) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  } else if constexpr (number_option<T>) {
    using item = typename option_of<T>::item;
    return *at ? T(read<item>(at + sizeof(item))) : T();
  } else {
    echelon_text found;
    std::memcpy(&found, at, sizeof found);
    if constexpr (option<T>) return found.at ? T(read_slice<typename option_of<T>::item>(found.at, found.length)) : T();
    else return read_slice<T>(found.at, found.length);
  }
}

template <class T> T read_slice(const char *at, std::size_t length) {
  if constexpr (text<T>) return T(at, length);
  else if constexpr (std::is_same_v<T, json>) return json{std::string(at, length)};
  else {
    using item = typename list_of<T>::item;
    if constexpr (std::is_same_v<T, std::span<const item>>) {
      static_assert(number<item>, "a span is of numbers; take a std::vector");
      return T(reinterpret_cast<const item *>(at), length);
    } else if constexpr (number<item> && !std::is_same_v<item, bool>) {
      const item *first = reinterpret_cast<const item *>(at);
      return T(first, first + length);
    } else {
      T made;
      made.reserve(length);
      for (std::size_t i = 0; i < length; i++) made.push_back(read<item>(at + i * size_in_memory<item>()));
      return made;
    }
  }
}

// Memory that results are written to; what the last call wrote goes when the next one writes.
class room {
  std::vector<void *> blocks_;

 public:
  void clear() {
    for (void *block : blocks_) std::free(block);
    blocks_.clear();
  }
  char *take(std::size_t size) {
    blocks_.push_back(echelon_allocate(size));
    return static_cast<char *>(blocks_.back());
  }
};
inline room results;

template <class T> echelon_text write_slice(const T &value);

template <class T> void write(char *at, const T &value) {
  if constexpr (number<T>) std::memcpy(at, &value, sizeof value);
  else if constexpr (number_option<T>) {
    using item = typename option_of<T>::item;
    std::memset(at, 0, 2 * sizeof(item));
    *at = value.has_value();
    if (value) write<item>(at + sizeof(item), *value);
  } else {
    echelon_text made = {nullptr, 0};
    if constexpr (option<T>) {
      if (value) made = write_slice(*value);
    } else made = write_slice(value);
    std::memcpy(at, &made, sizeof made);
  }
}

template <class T> echelon_text write_slice(const T &value) {
  if constexpr (std::is_same_v<T, json>) return write_slice(value.text);
  else if constexpr (text<T>) {
    char *at = results.take(value.size());
    std::memcpy(at, value.data(), value.size());
    return {at, value.size()};
  } else {
    using item = typename list_of<T>::item;
    char *at = results.take(value.size() * size_in_memory<item>());
    std::size_t place = 0;
    for (const auto &one : value) write<item>(at + size_in_memory<item>() * place++, one);
    return {at, value.size()};
  }
}

template <class... T> void *write_all(const T &...values) {
  std::size_t size = 0;
  auto place = [&size](std::size_t align, std::size_t more) {
    size = (size + align - 1) / align * align + more;
    return size - more;
  };
  (place(align_in_memory<T>(), size_in_memory<T>()), ...);
  char *at = results.take(size);
  size = 0;
  (write<T>(at + place(align_in_memory<T>(), size_in_memory<T>()), values), ...);
  return at;
}

// --- functions ---

// A parameter as the words that a function of WebAssembly takes for it, and back.
template <class T> struct words {
  using type = std::tuple<const char *, std::size_t>;
  static T value(const char *at, std::size_t length) {
    if constexpr (option<T>) return at ? T(read_slice<typename option_of<T>::item>(at, length)) : T();
    else return read_slice<T>(at, length);
  }
};
template <number T> struct words<T> {
  using type = std::tuple<T>;
  static T value(T number) { return number; }
};
template <number T> struct words<std::optional<T>> {
  using type = std::tuple<std::int32_t, T>;
  static std::optional<T> value(std::int32_t given, T number) { return given ? std::optional<T>(number) : std::nullopt; }
};

template <class R> auto give(R &&result) {
  using T = std::remove_cvref_t<R>;
  results.clear();
  if constexpr (number<T>) return result;
  else if constexpr (several<T>) return std::apply([](const auto &...values) { return write_all(values...); }, result);
  else if constexpr (number_option<T>) return write_all(result);
  else if constexpr (option<T>) {
    echelon_text made = {nullptr, 0};
    if (result) made = write_slice(*result);
    return echelon_pair(made.at, made.length);
  } else {
    echelon_text made = write_slice(result);
    return echelon_pair(made.at, made.length);
  }
}

template <class F> struct shape : shape<decltype(&F::operator())> {};
template <class R, class... P> struct shape<R (*)(P...)> {
  using result = R;
  using parameters = std::tuple<std::remove_cvref_t<P>...>;
};
template <class C, class R, class... P> struct shape<R (C::*)(P...) const> : shape<R (*)(P...)> {};

template <class Tag> using shape_of = shape<std::decay_t<decltype(Tag::function)>>;

template <class Parameters> struct all_words;
template <class... P> struct all_words<std::tuple<P...>> {
  using type = decltype(std::tuple_cat(std::declval<typename words<P>::type>()...));
};

template <class Parameters, std::size_t Index> constexpr std::size_t words_before() {
  if constexpr (Index == 0) return 0;
  else {
    using before = std::tuple_element_t<Index - 1, Parameters>;
    return words_before<Parameters, Index - 1>() + std::tuple_size_v<typename words<before>::type>;
  }
}

template <class Parameters, std::size_t Index, class Words> auto argument(const Words &given) {
  using T = std::tuple_element_t<Index, Parameters>;
  constexpr std::size_t first = words_before<Parameters, Index>();
  if constexpr (std::tuple_size_v<typename words<T>::type> == 1) return words<T>::value(std::get<first>(given));
  else return words<T>::value(std::get<first>(given), std::get<first + 1>(given));
}

// The function that the host calls.
template <class Tag, class Words = typename all_words<typename shape_of<Tag>::parameters>::type> struct entry;
template <class Tag, class... Words> struct entry<Tag, std::tuple<Words...>> {
  using parameters = typename shape_of<Tag>::parameters;
  static auto call(Words... given) {
    return run(std::tuple<Words...>(given...), std::make_index_sequence<std::tuple_size_v<parameters>>());
  }
  template <std::size_t... Index> static auto run(const std::tuple<Words...> &given, std::index_sequence<Index...>) {
    if constexpr (std::is_void_v<typename shape_of<Tag>::result>)
      Tag::function(argument<parameters, Index>(given)...);
    else return give(Tag::function(argument<parameters, Index>(given)...));
  }
};

// --- its line in the section `echelon:exports` ---

template <class... P> constexpr std::string parameters_text(std::tuple<P...> *, std::string_view names) {
  std::string made;
  [[maybe_unused]] auto add = [&](const std::string &type) {
    if (!made.empty()) made += ", ";
    std::size_t end = names.find(',');
    std::string_view name = names.substr(0, end);
    while (name.starts_with(' ')) name.remove_prefix(1);
    names = end == names.npos ? std::string_view() : names.substr(end + 1);
    if (!name.empty()) made += std::string(name) + ": ";
    made += type;
  };
  (add(name_of<P>()), ...);
  return made;
}

template <class Tag> constexpr std::string line_text() {
  using result = typename shape_of<Tag>::result;
  auto *parameters = static_cast<typename shape_of<Tag>::parameters *>(nullptr);
  std::string made = std::string(Tag::name) + "(" + parameters_text(parameters, Tag::names) + ")";
  if constexpr (!std::is_void_v<result>) made += " -> " + results_name<std::remove_cvref_t<result>>::make();
  return made + "\n";
}

// The line with as many line feeds behind it that it can be written eight letters at a time.
template <class Tag> consteval auto line() {
  std::array<char, (line_text<Tag>().size() + 7) / 8 * 8> made{};
  made.fill('\n');
  std::string text = line_text<Tag>();
  for (std::size_t i = 0; i < text.size(); i++) made[i] = text[i];
  return made;
}

template <std::size_t Size> consteval std::int64_t eight_of(const std::array<char, Size> &text, std::size_t at) {
  std::uint64_t made = 0;
  for (std::size_t i = 0; i < 8; i++) made |= std::uint64_t{static_cast<unsigned char>(text[at + i])} << 8 * i;
  return static_cast<std::int64_t>(made);
}

// Write letters to the section that the assembler is in: what a section holds can come from the compiler no other way.
template <class Tag, std::size_t At> [[gnu::always_inline]] inline void write_eight() {
  asm volatile(".int64 %0" ::"i"(eight_of(line<Tag>(), At)));
}
template <class Tag, std::size_t... Index> [[gnu::always_inline]] inline void write_line(std::index_sequence<Index...>) {
  (write_eight<Tag, Index * 8>(), ...);
}
template <class Tag> using letters = std::make_index_sequence<line<Tag>().size() / 8>;

constexpr std::size_t names_in(std::string_view names) {
  if (names.empty()) return 0;
  std::size_t count = 1;
  for (char letter : names) count += letter == ',';
  return count;
}

}  // namespace detail
}  // namespace echelon

// Export a function, or a lambda without captures, under its name: ECHELON_FUNCTION(greet, who).
#define ECHELON_FUNCTION(callable, ...) ECHELON_FUNCTION_AS(callable, callable __VA_OPT__(, ) __VA_ARGS__)
// The same under another name.
#define ECHELON_FUNCTION_AS(label, callable, ...)                                                                  \
  struct echelon_tag_##label {                                                                                     \
    static constexpr auto function = callable;                                                                     \
    static constexpr std::string_view name = #label, names = #__VA_ARGS__;                                         \
    static_assert(names.empty() || ::echelon::detail::names_in(names) ==                                           \
                                       std::tuple_size_v<::echelon::detail::shape_of<echelon_tag_##label>::parameters>, \
                  "ECHELON_FUNCTION: name every parameter, or none");                                              \
  };                                                                                                               \
  extern "C" __attribute__((used)) void echelon_export_##label() {                                                 \
    asm volatile(".section \".custom_section.echelon:exports\",\"\",@");                                           \
    ::echelon::detail::write_line<echelon_tag_##label>(::echelon::detail::letters<echelon_tag_##label>());         \
    asm volatile(".section .text.echelon_export_" #label ",\"R\",@");                                              \
    asm volatile(".export_name %0, " #label ::"i"(&::echelon::detail::entry<echelon_tag_##label>::call));          \
  }
