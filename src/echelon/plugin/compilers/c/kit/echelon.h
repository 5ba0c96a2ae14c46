// What a guest in C or C++ uses of its host (docs/abi.md):
//
//     #include <echelon.h>
//
//     ECHELON_EXPORT("greet(who: str) -> str")
//     echelon_result greet(ECHELON_TEXT(who)) { return echelon_format("Hello, %.*s!", (int)who_length, who); }
//
// A parameter that is text, bytes, JSON or a list is a pointer and a length, which ECHELON_TEXT, ECHELON_BYTES and
// ECHELON_LIST declare as NAME and NAME_length. Memory that a call takes stays until the instance ends.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef __cplusplus
#define ECHELON_EXPORT(signature) extern "C" __attribute__((export_name(signature)))
#define ECHELON_C extern "C"
#else
#define ECHELON_EXPORT(signature) __attribute__((export_name(signature)))
#define ECHELON_C
#endif
#define ECHELON_HOST(name) ECHELON_C __attribute__((import_module("echelon"), import_name(name)))

#define ECHELON_TEXT(name) const char *name, size_t name##_length
#define ECHELON_BYTES(name) const uint8_t *name, size_t name##_length
#define ECHELON_LIST(type, name) const type *name, size_t name##_length

typedef struct { const char *at; size_t length; } echelon_text;
typedef struct { const uint8_t *at; size_t length; } echelon_bytes;

// What a function returns whose result is text, bytes, JSON, a list, or an option of these.
typedef uint64_t echelon_result;

ECHELON_HOST("abort") void echelon_host_abort(const char *, size_t, const char *, size_t, uint32_t, uint32_t);
ECHELON_HOST("log") void echelon_host_log(int32_t, const char *, size_t);
ECHELON_HOST("env_get") int32_t echelon_host_env_get(const char *, size_t);
ECHELON_HOST("take") void echelon_host_take(void *);
ECHELON_HOST("kv_get") int32_t echelon_host_kv_get(const void *, size_t);
ECHELON_HOST("kv_set") int32_t echelon_host_kv_set(const void *, size_t, uint32_t, const void *, size_t, int64_t);
ECHELON_HOST("kv_delete") void echelon_host_kv_delete(const void *, size_t);
ECHELON_HOST("fetch") int32_t echelon_host_fetch(const void *, size_t);

// End the call; its caller reads the message with this file and line.
#define echelon_fail(message) echelon_fail_at(message, __FILE__, __LINE__)
static inline __attribute__((noreturn)) void echelon_fail_at(const char *message, const char *file, unsigned line) {
  echelon_host_abort(message, strlen(message), file, strlen(file), line, 0);
  __builtin_trap();
}

static inline void *echelon_allocate(size_t size) {
  void *found = malloc(size ? size : 1);
  if (!found) echelon_fail("out of memory");
  return found;
}

ECHELON_C __attribute__((weak, export_name("echelon_alloc"))) void *echelon_alloc(size_t size) {
  return malloc(size ? size : 1);
}

static inline echelon_result echelon_pair(const void *at, size_t length) {
  return (uint64_t)(uintptr_t)at << 32 | length;
}
static inline echelon_result echelon_string(const char *text) { return echelon_pair(text, strlen(text)); }
#define ECHELON_NONE ((echelon_result)0)

static inline __attribute__((format(printf, 1, 0))) echelon_text echelon_print(const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) echelon_fail("a text cannot be formatted");
  char *text = (char *)echelon_allocate((size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, values);
  echelon_text made = {text, (size_t)length};
  return made;
}

static inline __attribute__((format(printf, 1, 2))) echelon_result echelon_format(const char *format, ...) {
  va_list values;
  va_start(values, format);
  echelon_text made = echelon_print(format, values);
  va_end(values);
  return echelon_pair(made.at, made.length);
}

enum { ECHELON_DEBUG, ECHELON_INFO, ECHELON_WARNING, ECHELON_ERROR };
static inline __attribute__((format(printf, 2, 3))) void echelon_log(int level, const char *format, ...) {
  va_list values;
  va_start(values, format);
  echelon_text made = echelon_print(format, values);
  va_end(values);
  echelon_host_log(level, made.at, made.length);
}

// What the last call of the host found; `at` is NULL when it was nothing. A zero byte follows it.
static inline echelon_bytes echelon_taken(int32_t length) {
  echelon_bytes none = {NULL, 0};
  if (length < 0) return none;
  uint8_t *at = (uint8_t *)echelon_allocate((size_t)length + 1);
  echelon_host_take(at);
  at[length] = 0;
  echelon_bytes found = {at, (size_t)length};
  return found;
}

// The value of a variable, or NULL.
static inline const char *echelon_env(const char *name) {
  return (const char *)echelon_taken(echelon_host_env_get(name, strlen(name))).at;
}

// A buffer that grows: what requests, responses and keys are written into.
typedef struct { uint8_t *at; size_t length, room; } echelon_buffer;
static inline void echelon_put(echelon_buffer *into, const void *content, size_t length) {
  if (into->length + length > into->room) {
    into->room = (into->length + length) * 2;
    into->at = (uint8_t *)realloc(into->at, into->room);
    if (!into->at) echelon_fail("out of memory");
  }
  if (length) memcpy(into->at + into->length, content, length);
  into->length += length;
}
static inline void echelon_put_number(echelon_buffer *into, uint32_t number) { echelon_put(into, &number, 4); }
static inline void echelon_put_content(echelon_buffer *into, const void *content, size_t length) {
  echelon_put_number(into, (uint32_t)length);
  echelon_put(into, content, length);
}
static inline void echelon_put_text(echelon_buffer *into, const char *text) {
  echelon_put_content(into, text, strlen(text));
}

// And what they are read from, which ends the call when it ends too early.
static inline uint32_t echelon_get_number(echelon_bytes *from) {
  uint32_t number;
  if (from->length < 4) echelon_fail("a buffer of the host ends too early");
  memcpy(&number, from->at, 4);
  from->at += 4, from->length -= 4;
  return number;
}
static inline echelon_bytes echelon_get_content(echelon_bytes *from) {
  uint32_t length = echelon_get_number(from);
  if (from->length < length) echelon_fail("a buffer of the host ends too early");
  echelon_bytes found = {from->at, length};
  from->at += length, from->length -= length;
  return found;
}
static inline echelon_text echelon_get_text(echelon_bytes *from) {
  echelon_bytes found = echelon_get_content(from);
  echelon_text text = {(const char *)found.at, found.length};
  return text;
}

// The key-value store, for keys of one or two texts (`more` may be NULL) and values that are text.
static inline echelon_buffer echelon_key(const char *part, const char *more) {
  echelon_buffer key = {NULL, 0, 0};
  echelon_put_number(&key, more ? 2 : 1);
  echelon_put_number(&key, 2), echelon_put_text(&key, part);
  if (more) echelon_put_number(&key, 2), echelon_put_text(&key, more);
  return key;
}
static inline const char *echelon_kv_get(const char *part, const char *more) {
  echelon_buffer key = echelon_key(part, more);
  echelon_bytes entry = echelon_taken(echelon_host_kv_get(key.at, key.length));
  if (!entry.at) return NULL;
  echelon_get_content(&entry), echelon_get_number(&entry);
  return (const char *)echelon_get_content(&entry).at;
}
static inline void echelon_kv_set(const char *part, const char *more, const char *value) {
  echelon_buffer key = echelon_key(part, more);
  echelon_host_kv_set(key.at, key.length, 1, value, strlen(value), 0);
}
static inline void echelon_kv_delete(const char *part, const char *more) {
  echelon_buffer key = echelon_key(part, more);
  echelon_host_kv_delete(key.at, key.length);
}

// An HTTP guest exports "handle(request: bytes) -> bytes": echelon_read(), then return echelon_respond().
typedef struct { echelon_text method, path, query; echelon_bytes headers, body; } echelon_request;
static inline echelon_request echelon_read(const uint8_t *raw, size_t length) {
  echelon_bytes from = {raw, length};
  echelon_request made;
  echelon_get_number(&from);
  made.method = echelon_get_text(&from), made.path = echelon_get_text(&from), made.query = echelon_get_text(&from);
  made.headers = from;
  for (uint32_t left = echelon_get_number(&from); left; left--) echelon_get_text(&from), echelon_get_text(&from);
  made.body = echelon_get_content(&from);
  return made;
}
static inline bool echelon_is(echelon_text text, const char *other) {
  return text.length == strlen(other) && !memcmp(text.at, other, text.length);
}
// The value of a request's header; `at` is NULL when it was not sent.
static inline echelon_text echelon_header(const echelon_request *request, const char *name) {
  echelon_bytes from = request->headers;
  for (uint32_t left = echelon_get_number(&from); left; left--) {
    echelon_text found = echelon_get_text(&from), value = echelon_get_text(&from);
    if (found.length == strlen(name) && !strncasecmp(found.at, name, found.length)) return value;
  }
  echelon_text none = {NULL, 0};
  return none;
}

// A response with headers: names and values in turn, all ended by `(const char *)NULL`.
static inline __attribute__((sentinel)) echelon_result echelon_respond_with(uint32_t status, const void *body,
                                                                            size_t length, ...) {
  echelon_buffer made = {NULL, 0, 0}, headers = {NULL, 0, 0};
  uint32_t count = 0;
  va_list rest;
  va_start(rest, length);
  for (const char *name; (name = va_arg(rest, const char *)); count++)
    echelon_put_text(&headers, name), echelon_put_text(&headers, va_arg(rest, const char *));
  va_end(rest);
  echelon_put_number(&made, 1), echelon_put_number(&made, status), echelon_put_number(&made, count);
  echelon_put(&made, headers.at, headers.length), echelon_put_content(&made, body, length);
  return echelon_pair(made.at, made.length);
}
static inline echelon_result echelon_respond(uint32_t status, const char *type, const void *body, size_t length) {
  return echelon_respond_with(status, body, length, "content-type", type, (const char *)NULL);
}

// Get a URL. A status of 0 means that there was no answer; the body then says why.
typedef struct { uint32_t status; echelon_bytes body; } echelon_response;
static inline echelon_response echelon_fetch(const char *method, const char *url, const void *body, size_t length) {
  echelon_buffer request = {NULL, 0, 0};
  echelon_put_number(&request, 1), echelon_put_text(&request, method), echelon_put_text(&request, url);
  echelon_put_number(&request, 0), echelon_put_number(&request, 0), echelon_put_content(&request, body, length);
  echelon_bytes from = echelon_taken(echelon_host_fetch(request.at, request.length));
  echelon_response made;
  echelon_get_number(&from), made.status = echelon_get_number(&from), echelon_get_content(&from);
  for (uint32_t left = echelon_get_number(&from); left; left--) echelon_get_text(&from), echelon_get_text(&from);
  made.body = echelon_get_content(&from);
  return made;
}
