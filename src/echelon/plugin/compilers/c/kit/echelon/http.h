// Answering HTTP, and asking others (docs/abi.md).
#pragma once

#include <echelon.h>

ECHELON_HOST("fetch") int32_t echelon_host_fetch(const void *, size_t);

// An HTTP guest exports "handle(request: bytes) -> bytes": echelon_read(), then return echelon_respond().
typedef struct { echelon_text method, path, query; echelon_bytes headers, body; } echelon_request;

static inline echelon_bytes echelon_get_headers(echelon_bytes *from) {
  echelon_bytes headers = *from;
  for (uint32_t left = echelon_get_number(from); left; left--) echelon_get_text(from), echelon_get_text(from);
  headers.length = (size_t)(from->at - headers.at);
  return headers;
}
static inline echelon_request echelon_read(const uint8_t *raw, size_t length) {
  echelon_bytes from = {raw, length};
  if (echelon_get_number(&from) != 1) echelon_fail("this guest speaks version 1 of the HTTP ABI");
  echelon_request made;
  made.method = echelon_get_text(&from), made.path = echelon_get_text(&from), made.query = echelon_get_text(&from);
  made.headers = echelon_get_headers(&from), made.body = echelon_get_content(&from);
  return made;
}
static inline bool echelon_is(echelon_text text, const char *other) {
  return text.length == strlen(other) && !memcmp(text.at, other, text.length);
}

// The value of a header of a request or response, in any case of letters; `at` is NULL when it was not sent.
static inline echelon_text echelon_header(echelon_bytes headers, const char *name) {
  echelon_text value = {NULL, 0};
  for (uint32_t left = echelon_get_number(&headers); left; left--) {
    echelon_text found = echelon_get_text(&headers), content = echelon_get_text(&headers);
    if (found.length == strlen(name) && !strncasecmp(found.at, name, found.length)) return content;
  }
  return value;
}

static inline void echelon_put_headers(echelon_buffer *into, va_list rest) {
  echelon_buffer headers = {NULL, 0, 0};
  uint32_t count = 0;
  for (const char *name; (name = va_arg(rest, const char *)); count++)
    echelon_put_text(&headers, name), echelon_put_text(&headers, va_arg(rest, const char *));
  echelon_put_number(into, count), echelon_put(into, headers.at, headers.length);
}

// A response with headers: names and values in turn, all ended by `(const char *)NULL`.
static inline __attribute__((sentinel)) echelon_result echelon_respond_with(uint32_t status, const void *body,
                                                                            size_t length, ...) {
  echelon_buffer made = {NULL, 0, 0};
  echelon_put_number(&made, 1), echelon_put_number(&made, status);
  va_list rest;
  va_start(rest, length);
  echelon_put_headers(&made, rest);
  va_end(rest);
  echelon_put_content(&made, body, length);
  return echelon_pair(made.at, made.length);
}
static inline echelon_result echelon_respond(uint32_t status, const char *type, const void *body, size_t length) {
  return echelon_respond_with(status, body, length, "content-type", type, (const char *)NULL);
}

// What a request of the guest brought: where it ended after redirects, and with what. A status of 0 means that there was
// no answer; the body then says why.
typedef struct { uint32_t status; echelon_text url; echelon_bytes headers, body; } echelon_response;

// Ask with headers, in turn names and values, all ended by `(const char *)NULL`. A host that is not granted ends the call.
static inline __attribute__((sentinel)) echelon_response echelon_fetch_with(const char *method, const char *url,
                                                                            bool follow, const void *body,
                                                                            size_t length, ...) {
  echelon_buffer request = {NULL, 0, 0};
  echelon_put_number(&request, 1), echelon_put_text(&request, method), echelon_put_text(&request, url);
  echelon_put_number(&request, follow ? 0 : 1);
  va_list rest;
  va_start(rest, length);
  echelon_put_headers(&request, rest);
  va_end(rest);
  echelon_put_content(&request, body, length);
  echelon_bytes from = echelon_taken(echelon_host_fetch(request.at, request.length));
  if (echelon_get_number(&from) != 1) echelon_fail("this guest speaks version 1 of the HTTP ABI");
  echelon_response made;
  made.status = echelon_get_number(&from), made.url = echelon_get_text(&from);
  made.headers = echelon_get_headers(&from), made.body = echelon_get_content(&from);
  return made;
}
static inline echelon_response echelon_fetch(const char *method, const char *url, const void *body, size_t length) {
  return echelon_fetch_with(method, url, true, body, length, (const char *)NULL);
}
