// The conformance program in C++; what it has to answer stands in test_conformance.py.

#include <echelon.hpp>

#include <algorithm>
#include <numeric>

template <class T> T echo(T n) { return n; }
ECHELON_FUNCTION_AS(echo_i8, &echo<std::int8_t>, n)
ECHELON_FUNCTION_AS(echo_u8, &echo<std::uint8_t>, n)
ECHELON_FUNCTION_AS(echo_i16, &echo<std::int16_t>, n)
ECHELON_FUNCTION_AS(echo_u16, &echo<std::uint16_t>, n)
ECHELON_FUNCTION_AS(echo_i32, &echo<std::int32_t>, n)
ECHELON_FUNCTION_AS(echo_u32, &echo<std::uint32_t>, n)
ECHELON_FUNCTION_AS(echo_i64, &echo<std::int64_t>, n)
ECHELON_FUNCTION_AS(echo_u64, &echo<std::uint64_t>, n)
ECHELON_FUNCTION_AS(echo_f32, &echo<float>, n)
ECHELON_FUNCTION_AS(echo_f64, &echo<double>, n)

constexpr auto negate = [](bool on) { return !on; };
ECHELON_FUNCTION(negate, on)

std::int32_t divide(std::int32_t a, std::int32_t b) { return a / b; }
ECHELON_FUNCTION(divide, a, b)

std::string greet(std::string_view who) { return "Hello, " + std::string(who) + "!"; }
ECHELON_FUNCTION(greet, who)

std::uint32_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char letter) { return (letter & 0xc0) != 0x80; });
}
ECHELON_FUNCTION(characters, text)

echelon::bytes reverse(echelon::bytes data) {
  std::reverse(data.begin(), data.end());
  return data;
}
ECHELON_FUNCTION(reverse, data)

std::vector<std::int32_t> sorted(std::vector<std::int32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}
ECHELON_FUNCTION(sorted, numbers)

double total(std::span<const double> numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0.0); }
ECHELON_FUNCTION(total, numbers)

std::string join(const std::vector<std::string_view> &words, std::string_view by) {
  std::string made;
  for (std::size_t i = 0; i < words.size(); i++) {
    if (i) made += by;
    made += words[i];
  }
  return made;
}
ECHELON_FUNCTION(join, words, by)

std::vector<std::string> split(std::string_view text, std::string_view by) {
  std::vector<std::string> made;
  for (std::size_t end; (end = text.find(by)) != text.npos; text.remove_prefix(end + by.size()))
    made.emplace_back(text.substr(0, end));
  made.emplace_back(text);
  return made;
}
ECHELON_FUNCTION(split, text, by)

std::optional<std::string> first(std::optional<std::string_view> text) {
  return text ? std::optional(std::string(text->substr(0, 1))) : std::nullopt;
}
ECHELON_FUNCTION(first, text)

std::optional<double> half(std::optional<double> n) { return n ? std::optional(*n / 2) : std::nullopt; }
ECHELON_FUNCTION(half, n)

echelon::json wrap(const echelon::json &value) { return {"{\"value\":" + value.text + ",\"ok\":true}"}; }
ECHELON_FUNCTION(wrap, value)

std::uint32_t checksum(std::span<const std::uint8_t> data) {
  return std::accumulate(data.begin(), data.end(), std::uint32_t{0});
}
ECHELON_FUNCTION(checksum, data)

std::string repeat(std::string_view text, std::uint32_t times) {
  std::string made;
  while (times--) made += text;
  return made;
}
ECHELON_FUNCTION(repeat, text, times)

void refuse(std::string_view why) { echelon::fail(why); }
ECHELON_FUNCTION(refuse, why)

void spin() {
  for (volatile bool on = true; on;) {}
}
ECHELON_FUNCTION(spin)

std::int32_t count_up() {
  static std::int32_t calls = 0;
  return ++calls;
}
ECHELON_FUNCTION(count_up)

std::optional<std::string> variable(std::string_view name) { return echelon::env(name); }
ECHELON_FUNCTION(variable, name)

void note(std::string_view text) { echelon::log::info(text); }
ECHELON_FUNCTION(note, text)

namespace kv = echelon::kv;

void store(std::string_view name, std::string_view value) { kv::set(echelon::key("conformance", name), value); }
ECHELON_FUNCTION(store, name, value)

std::optional<std::string> load(std::string_view name) {
  auto entry = kv::get(echelon::key("conformance", name));
  return entry ? std::optional(entry->content) : std::nullopt;
}
ECHELON_FUNCTION(load, name)

void forget(std::string_view name) { kv::remove(echelon::key("conformance", name)); }
ECHELON_FUNCTION(forget, name)

std::uint64_t tally(std::string_view name, std::uint32_t n) {
  echelon::key key("conformance", "tally", name);
  kv::atomic().sum(key, n).commit();
  return kv::get(key)->number();
}
ECHELON_FUNCTION(tally, name, n)

bool claim(std::string_view name, std::string_view value) {
  echelon::key key("conformance", name);
  return kv::atomic().check(key, "").set(key, value).commit().has_value();
}
ECHELON_FUNCTION(claim, name, value)

std::vector<std::string> names(std::uint32_t limit, std::string_view cursor) {
  kv::page page = kv::list({.prefix = echelon::key("conformance", "page"), .limit = limit, .cursor = std::string(cursor)});
  std::vector<std::string> made;
  for (const auto &entry : page.entries) made.push_back(std::get<std::string>(entry.key.parts()[2]));
  made.push_back(page.cursor);
  return made;
}
ECHELON_FUNCTION(names, limit, cursor)

std::string parts(std::string_view name) {
  echelon::key prefix("conformance", name);
  kv::set(prefix.with(-7).with(0.5).with(true).with(echelon::bytes{0, 255}), "found");
  auto entry = kv::list({.prefix = prefix}).entries.at(0);
  const auto &found = entry.key.parts();
  char made[64];
  std::snprintf(made, sizeof made, "%lld %g %s %zu", std::get<std::int64_t>(found[2]), std::get<double>(found[3]),
                std::get<bool>(found[4]) ? "true" : "false", std::get<echelon::bytes>(found[5]).size());
  return made + (" " + entry.content);
}
ECHELON_FUNCTION(parts, name)

std::string ask(std::string_view url) {
  echelon::answer answer = echelon::fetch(url);
  return std::to_string(answer.status) + " " + answer.body;
}
ECHELON_FUNCTION(ask, url)

extern "C" __attribute__((import_module("shop"), import_name("price"))) std::uint32_t shop_price(const char *, std::size_t);

std::uint32_t price(std::string_view article) { return shop_price(article.data(), article.size()); }
ECHELON_FUNCTION(price, article)

echelon::response answer(const echelon::request &request) {
  echelon::response made(request.method + " " + request.path + " " + request.query + " " + request.body, 201);
  made.headers.set("x-heard", request.headers.get("x-say").value_or("nothing"));
  return made;
}
ECHELON_HANDLER(answer)
