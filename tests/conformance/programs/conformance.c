// The conformance program in C; what it has to answer stands in test_conformance.py.

#include <echelon.h>

ECHELON_EXPORT("echo_i8(n: i8) -> i8") int8_t echo_i8(int8_t n) { return n; }
ECHELON_EXPORT("echo_u8(n: u8) -> u8") uint8_t echo_u8(uint8_t n) { return n; }
ECHELON_EXPORT("echo_i16(n: i16) -> i16") int16_t echo_i16(int16_t n) { return n; }
ECHELON_EXPORT("echo_u16(n: u16) -> u16") uint16_t echo_u16(uint16_t n) { return n; }
ECHELON_EXPORT("echo_i32(n: i32) -> i32") int32_t echo_i32(int32_t n) { return n; }
ECHELON_EXPORT("echo_u32(n: u32) -> u32") uint32_t echo_u32(uint32_t n) { return n; }
ECHELON_EXPORT("echo_i64(n: i64) -> i64") int64_t echo_i64(int64_t n) { return n; }
ECHELON_EXPORT("echo_u64(n: u64) -> u64") uint64_t echo_u64(uint64_t n) { return n; }
ECHELON_EXPORT("echo_f32(n: f32) -> f32") float echo_f32(float n) { return n; }
ECHELON_EXPORT("echo_f64(n: f64) -> f64") double echo_f64(double n) { return n; }
ECHELON_EXPORT("negate(on: bool) -> bool") bool negate(bool on) { return !on; }
ECHELON_EXPORT("divide(a: i32, b: i32) -> i32") int32_t divide(int32_t a, int32_t b) { return a / b; }

ECHELON_EXPORT("greet(who: str) -> str")
echelon_result greet(ECHELON_TEXT(who)) {
  echelon_buffer made = {0};
  echelon_put(&made, "Hello, ", 7);
  echelon_put(&made, who, who_length);
  echelon_put(&made, "!", 1);
  return echelon_pair(made.at, made.length);
}

ECHELON_EXPORT("characters(text: str) -> u32")
uint32_t characters(ECHELON_TEXT(text)) {
  uint32_t count = 0;
  for (size_t i = 0; i < text_length; i++) count += (text[i] & 0xc0) != 0x80;
  return count;
}

ECHELON_EXPORT("reverse(data: bytes) -> bytes")
echelon_result reverse(ECHELON_BYTES(data)) {
  uint8_t *made = echelon_allocate(data_length);
  for (size_t i = 0; i < data_length; i++) made[i] = data[data_length - 1 - i];
  return echelon_pair(made, data_length);
}

static int ascending(const void *a, const void *b) {
  int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
  return (left > right) - (left < right);
}

ECHELON_EXPORT("sorted(numbers: list<i32>) -> list<i32>")
echelon_result sorted(ECHELON_LIST(int32_t, numbers)) {
  int32_t *made = echelon_allocate(numbers_length * sizeof *made);
  if (numbers_length) memcpy(made, numbers, numbers_length * sizeof *made);
  qsort(made, numbers_length, sizeof *made, ascending);
  return echelon_pair(made, numbers_length);
}

ECHELON_EXPORT("total(numbers: list<f64>) -> f64")
double total(ECHELON_LIST(double, numbers)) {
  double sum = 0;
  for (size_t i = 0; i < numbers_length; i++) sum += numbers[i];
  return sum;
}

ECHELON_EXPORT("join(words: list<str>, by: str) -> str")
echelon_result join(ECHELON_LIST(echelon_text, words), ECHELON_TEXT(by)) {
  echelon_buffer made = {0};
  for (size_t i = 0; i < words_length; i++) {
    if (i) echelon_put(&made, by, by_length);
    echelon_put(&made, words[i].at, words[i].length);
  }
  return echelon_pair(made.at, made.length);
}

ECHELON_EXPORT("split(text: str, by: str) -> list<str>")
echelon_result split(ECHELON_TEXT(text), ECHELON_TEXT(by)) {
  echelon_buffer made = {0};
  const char *begin = text, *end = text + text_length;
  for (const char *at = begin; at <= end; at++) {
    if (at < end && (end - at < (ptrdiff_t)by_length || memcmp(at, by, by_length))) continue;
    echelon_text part = {begin, (size_t)(at - begin)};
    echelon_put(&made, &part, sizeof part);
    begin = at + by_length;
  }
  return echelon_pair(made.at, made.length / sizeof(echelon_text));
}

ECHELON_EXPORT("first(text: option<str>) -> option<str>")
echelon_result first(ECHELON_TEXT(text)) { return text ? echelon_pair(text, text_length ? 1 : 0) : ECHELON_NONE; }

typedef struct { bool given; double value; } number_or_none;

ECHELON_EXPORT("half(n: option<f64>) -> option<f64>")
const number_or_none *half(bool given, double n) {
  static number_or_none found;
  found = (number_or_none){given, n / 2};
  return &found;
}

ECHELON_EXPORT("wrap(value: json) -> json")
echelon_result wrap(ECHELON_TEXT(value)) {
  return echelon_format("{\"value\":%.*s,\"ok\":true}", (int)value_length, value);
}

ECHELON_EXPORT("checksum(data: bytes) -> u32")
uint32_t checksum(ECHELON_BYTES(data)) {
  uint32_t sum = 0;
  for (size_t i = 0; i < data_length; i++) sum += data[i];
  return sum;
}

ECHELON_EXPORT("repeat(text: str, times: u32) -> str")
echelon_result repeat(ECHELON_TEXT(text), uint32_t times) {
  echelon_buffer made = {0};
  while (times--) echelon_put(&made, text, text_length);
  return echelon_pair(made.at, made.length);
}

static const char *copy(ECHELON_TEXT(text)) { return memcpy(calloc(1, text_length + 1), text, text_length); }

ECHELON_EXPORT("refuse(why: str)") void refuse(ECHELON_TEXT(why)) { echelon_fail(copy(why, why_length)); }
ECHELON_EXPORT("spin()") void spin(void) { for (volatile int on = 1; on;); }

ECHELON_EXPORT("count_up() -> i32")
int32_t count_up(void) {
  static int32_t calls;
  return ++calls;
}

ECHELON_EXPORT("variable(name: str) -> option<str>")
echelon_result variable(ECHELON_TEXT(name)) {
  const char *found = echelon_env(copy(name, name_length));
  return found ? echelon_string(found) : ECHELON_NONE;
}

ECHELON_EXPORT("note(text: str)")
void note(ECHELON_TEXT(text)) { echelon_log(ECHELON_INFO, "%.*s", (int)text_length, text); }

static echelon_key key(ECHELON_TEXT(name)) { return echelon_key_text(echelon_key_of("conformance"), name, name_length); }

ECHELON_EXPORT("store(name: str, value: str)")
void store(ECHELON_TEXT(name), ECHELON_TEXT(value)) {
  echelon_kv_set(key(name, name_length), ECHELON_KIND_TEXT, value, value_length, 0);
}

ECHELON_EXPORT("load(name: str) -> option<str>")
echelon_result load(ECHELON_TEXT(name)) {
  echelon_entry entry = echelon_kv_get(key(name, name_length));
  return entry.found ? echelon_pair(entry.content.at, entry.content.length) : ECHELON_NONE;
}

ECHELON_EXPORT("forget(name: str)") void forget(ECHELON_TEXT(name)) { echelon_kv_delete(key(name, name_length)); }

ECHELON_EXPORT("tally(name: str, n: u32) -> u64")
uint64_t tally(ECHELON_TEXT(name), uint32_t n) {
  echelon_key counter = echelon_key_text(echelon_key_of("conformance"), "tally", 5);
  counter = echelon_key_text(counter, name, name_length);
  echelon_atomic change = {0};
  echelon_atomic_sum(&change, counter, n);
  echelon_atomic_commit(&change);
  return echelon_entry_number(echelon_kv_get(counter));
}

ECHELON_EXPORT("claim(name: str, value: str) -> bool")
bool claim(ECHELON_TEXT(name), ECHELON_TEXT(value)) {
  echelon_atomic change = {0};
  echelon_atomic_check(&change, key(name, name_length), echelon_text_of(""));
  echelon_atomic_set(&change, key(name, name_length), ECHELON_KIND_TEXT, value, value_length, 0);
  return echelon_atomic_commit(&change).at != NULL;
}

ECHELON_EXPORT("names(limit: u32, cursor: str) -> list<str>")
echelon_result names(uint32_t limit, ECHELON_TEXT(cursor)) {
  echelon_listing listing = {.prefix = key("page", 4), .limit = limit, .cursor = {cursor, cursor_length}};
  echelon_page page = echelon_kv_list(&listing);
  echelon_text *made = echelon_allocate((page.count + 1) * sizeof *made);
  for (uint32_t i = 0; i < page.count; i++) {
    echelon_bytes name = echelon_key_part(page.entries[i].key, 2).content;
    made[i] = (echelon_text){(const char *)name.at, name.length};
  }
  made[page.count] = page.cursor;
  return echelon_pair(made, page.count + 1);
}

ECHELON_EXPORT("parts(name: str) -> str")
echelon_result parts(ECHELON_TEXT(name)) {
  echelon_key prefix = key(name, name_length);
  echelon_key whole = echelon_key_bool(echelon_key_float(echelon_key_int(prefix, -7), 0.5), true);
  echelon_kv_set_text(echelon_key_bytes(whole, "\0\377", 2), "found");
  echelon_listing listing = {.prefix = prefix};
  echelon_entry entry = echelon_kv_list(&listing).entries[0];
  return echelon_format("%lld %g %s %zu %.*s", echelon_key_part(entry.key, 2).integer, echelon_key_part(entry.key, 3).real,
                        echelon_key_part(entry.key, 4).truth ? "true" : "false",
                        echelon_key_part(entry.key, 5).content.length, (int)entry.content.length, entry.content.at);
}

ECHELON_EXPORT("ask(url: str) -> str")
echelon_result ask(ECHELON_TEXT(url)) {
  echelon_response answer = echelon_fetch("GET", copy(url, url_length), NULL, 0);
  return echelon_format("%u %.*s", answer.status, (int)answer.body.length, answer.body.at);
}

ECHELON_C __attribute__((import_module("shop"), import_name("price"))) uint32_t shop_price(const char *, size_t);

ECHELON_EXPORT("price(article: str) -> u32")
uint32_t price(ECHELON_TEXT(article)) { return shop_price(article, article_length); }

ECHELON_EXPORT("handle(request: bytes) -> bytes")
echelon_result handle(ECHELON_BYTES(request)) {
  echelon_request asked = echelon_read(request, request_length);
  echelon_text parts[] = {asked.method, asked.path, asked.query, {(const char *)asked.body.at, asked.body.length}};
  echelon_buffer text = {0};
  for (int i = 0; i < 4; i++) {
    if (i) echelon_put(&text, " ", 1);
    echelon_put(&text, parts[i].at, parts[i].length);
  }
  echelon_text said = echelon_header(asked.headers, "x-say");
  return echelon_respond_with(201, text.at, text.length, "content-type", "text/plain; charset=utf-8", "x-heard",
                              said.at ? copy(said.at, said.length) : "nothing", (const char *)NULL);
}
