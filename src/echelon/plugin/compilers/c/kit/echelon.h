// What a guest in C or C++ uses of its host (docs/abi.md):
//
//     #include <echelon.h>
//
//     ECHELON_EXPORT("greet(who: str) -> str")
//     echelon_result greet(ECHELON_TEXT(who)) { return echelon_format("Hello, %.*s!", (int)who_length, who); }
//
// The store is in echelon/kv.h, requests and responses are in echelon/http.h; both come along.
// A parameter that is text, bytes, JSON or a list is a pointer and a length, which ECHELON_TEXT, ECHELON_BYTES and
// ECHELON_LIST declare as NAME and NAME_length. Memory that the kit takes stays until the instance ends.
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
ECHELON_HOST("read_file") int32_t echelon_host_read_file(const char *, size_t);
ECHELON_HOST("write_file") int32_t echelon_host_write_file(const char *, size_t, const void *, size_t);

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

// Room for the arguments of a call; the next call gets the same.
ECHELON_C __attribute__((weak, export_name("echelon_alloc"))) void *echelon_alloc(size_t size) {
  static void *block;
  static size_t room;
  if (!block || size > room) {
    free(block);
    block = malloc(size ? size : 1);
    room = block ? size : 0;
  }
  return block;
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

// The content of a file; `at` is NULL when there is no such file.
static inline echelon_bytes echelon_read_file(const char *path) {
  return echelon_taken(echelon_host_read_file(path, strlen(path)));
}
static inline void echelon_write_file(const char *path, const void *content, size_t length) {
  echelon_host_write_file(path, strlen(path), content, length);
}

// A buffer that grows: what requests, responses and keys are written into.
typedef struct { uint8_t *at; size_t length, room; } echelon_buffer;
static inline void echelon_put(echelon_buffer *into, const void *content, size_t length) {
  if (length > into->room - into->length) {
    size_t needed = into->length + length;
    if (needed < length || needed > SIZE_MAX / 2) echelon_fail("out of memory");
    into->room = needed * 2;
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
static inline echelon_text echelon_text_of(const char *text) {
  echelon_text made = {text, strlen(text)};
  return made;
}

#include <echelon/http.h>
#include <echelon/kv.h>
