// The key-value store of the host (docs/abi.md). Keys and what is read stay until the instance ends.
//
//     echelon_key user = echelon_key_int(echelon_key_of("users"), 7);
//     echelon_kv_set_text(user, "Ada");
#pragma once

#include <echelon.h>

ECHELON_HOST("kv_get") int32_t echelon_host_kv_get(const void *, size_t);
ECHELON_HOST("kv_set") int32_t echelon_host_kv_set(const void *, size_t, uint32_t, const void *, size_t, int64_t);
ECHELON_HOST("kv_delete") void echelon_host_kv_delete(const void *, size_t);
ECHELON_HOST("kv_list") int32_t echelon_host_kv_list(const void *, size_t);
ECHELON_HOST("kv_atomic") int32_t echelon_host_kv_atomic(const void *, size_t);

// What a part of a key is. A whole number that no int64_t holds is the text of its digits.
enum { ECHELON_PART_BYTES = 1, ECHELON_PART_TEXT, ECHELON_PART_INT, ECHELON_PART_FLOAT, ECHELON_PART_BOOL, ECHELON_PART_LARGE };

// What a value is. Numbers are what sums, minimums and maximums work on.
enum { ECHELON_KIND_BYTES, ECHELON_KIND_TEXT, ECHELON_KIND_JSON, ECHELON_KIND_NUMBER };

// A key of any number of parts, made from another by one part more. A key that was made does not change.
typedef struct { uint32_t count; echelon_buffer parts; } echelon_key;

static inline echelon_key echelon_key_add(echelon_key key, uint32_t kind, const void *content, size_t length, bool counted) {
  echelon_key made = {key.count + 1, {NULL, 0, 0}};
  echelon_put(&made.parts, key.parts.at, key.parts.length);
  echelon_put_number(&made.parts, kind);
  if (counted) echelon_put_number(&made.parts, (uint32_t)length);
  echelon_put(&made.parts, content, length);
  return made;
}
static inline echelon_key echelon_key_text(echelon_key key, const char *text, size_t length) {
  return echelon_key_add(key, ECHELON_PART_TEXT, text, length, true);
}
static inline echelon_key echelon_key_bytes(echelon_key key, const void *content, size_t length) {
  return echelon_key_add(key, ECHELON_PART_BYTES, content, length, true);
}
static inline echelon_key echelon_key_int(echelon_key key, int64_t number) {
  return echelon_key_add(key, ECHELON_PART_INT, &number, sizeof number, false);
}
static inline echelon_key echelon_key_float(echelon_key key, double number) {
  return echelon_key_add(key, ECHELON_PART_FLOAT, &number, sizeof number, false);
}
static inline echelon_key echelon_key_bool(echelon_key key, bool truth) {
  uint32_t number = truth;
  return echelon_key_add(key, ECHELON_PART_BOOL, &number, sizeof number, false);
}
static inline echelon_key echelon_key_of(const char *first) {
  echelon_key none = {0, {NULL, 0, 0}};
  return echelon_key_text(none, first, strlen(first));
}

static inline void echelon_put_key(echelon_buffer *into, echelon_key key) {
  echelon_put_number(into, key.count);
  echelon_put(into, key.parts.at, key.parts.length);
}
static inline int64_t echelon_get_long(echelon_bytes *from) {
  int64_t number;
  if (from->length < sizeof number) echelon_fail("a buffer of the host ends too early");
  memcpy(&number, from->at, sizeof number);
  from->at += sizeof number, from->length -= sizeof number;
  return number;
}

// One part of a key, which says in which field it is: `content`, `integer`, `real` or `truth`.
typedef struct { uint32_t kind; echelon_bytes content; int64_t integer; double real; bool truth; } echelon_part;

static inline echelon_part echelon_get_part(echelon_bytes *from) {
  echelon_part part = {echelon_get_number(from), {NULL, 0}, 0, 0, false};
  if (part.kind == ECHELON_PART_INT || part.kind == ECHELON_PART_FLOAT) {
    part.integer = echelon_get_long(from);
    memcpy(&part.real, &part.integer, sizeof part.real);
  } else if (part.kind == ECHELON_PART_BOOL) {
    part.truth = echelon_get_number(from) != 0;
  } else {
    part.content = echelon_get_content(from);
  }
  return part;
}
static inline echelon_key echelon_get_key(echelon_bytes *from) {
  echelon_key key = {echelon_get_number(from), {NULL, 0, 0}};
  key.parts.at = (uint8_t *)from->at;
  for (uint32_t left = key.count; left; left--) echelon_get_part(from);
  key.parts.length = (size_t)(from->at - key.parts.at);
  return key;
}

// The part at an index, from 0; ends the call when the key has not so many.
static inline echelon_part echelon_key_part(echelon_key key, uint32_t index) {
  if (index >= key.count) echelon_fail("the key has fewer parts");
  echelon_bytes from = {key.parts.at, key.parts.length};
  while (index--) echelon_get_part(&from);
  return echelon_get_part(&from);
}

typedef struct { bool found; echelon_key key; echelon_text versionstamp; uint32_t kind; echelon_bytes content; } echelon_entry;

static inline echelon_entry echelon_get_entry(echelon_key key, echelon_bytes *from) {
  echelon_entry entry = {true, key, {NULL, 0}, 0, {NULL, 0}};
  entry.versionstamp = echelon_get_text(from), entry.kind = echelon_get_number(from);
  entry.content = echelon_get_content(from);
  return entry;
}
// The number of an entry; ends the call when it is none.
static inline uint64_t echelon_entry_number(echelon_entry entry) {
  if (entry.kind != ECHELON_KIND_NUMBER) echelon_fail("the entry is no number");
  return (uint64_t)echelon_get_long(&entry.content);
}

// The entry under a key; `found` is false when there is none.
static inline echelon_entry echelon_kv_get(echelon_key key) {
  echelon_buffer name = {NULL, 0, 0};
  echelon_put_key(&name, key);
  echelon_bytes from = echelon_taken(echelon_host_kv_get(name.at, name.length));
  echelon_entry none = {false, key, {NULL, 0}, 0, {NULL, 0}};
  return from.at ? echelon_get_entry(key, &from) : none;
}

// Store a value for some milliseconds, or for ever when these are 0; gives its versionstamp.
static inline echelon_text echelon_kv_set(echelon_key key, uint32_t kind, const void *content, size_t length, int64_t milliseconds) {
  echelon_buffer name = {NULL, 0, 0};
  echelon_put_key(&name, key);
  echelon_bytes stamp = echelon_taken(echelon_host_kv_set(name.at, name.length, kind, content, length, milliseconds));
  echelon_text made = {(const char *)stamp.at, stamp.length};
  return made;
}
static inline echelon_text echelon_kv_set_text(echelon_key key, const char *text) {
  return echelon_kv_set(key, ECHELON_KIND_TEXT, text, strlen(text), 0);
}
static inline echelon_text echelon_kv_set_number(echelon_key key, uint64_t number) {
  return echelon_kv_set(key, ECHELON_KIND_NUMBER, &number, sizeof number, 0);
}
static inline void echelon_kv_delete(echelon_key key) {
  echelon_buffer name = {NULL, 0, 0};
  echelon_put_key(&name, key);
  echelon_host_kv_delete(name.at, name.length);
}

// What to list: entries below `prefix`, from `start` on and before `end` where these are not NULL, at most `limit` (0 is
// 100), the last first if `reverse`. `cursor` is that of the page before.
typedef struct {
  echelon_key prefix;
  const echelon_key *start, *end;
  uint32_t limit;
  bool reverse;
  echelon_text cursor;
} echelon_listing;

// Some entries; an empty `cursor` says that there are no more.
typedef struct { const echelon_entry *entries; uint32_t count; echelon_text cursor; } echelon_page;

static inline echelon_page echelon_kv_list(const echelon_listing *listing) {
  echelon_buffer request = {NULL, 0, 0};
  const echelon_key *bounds[] = {listing->start, listing->end};
  echelon_put_key(&request, listing->prefix);
  for (int i = 0; i < 2; i++) {
    echelon_put_number(&request, bounds[i] != NULL);
    if (bounds[i]) echelon_put_key(&request, *bounds[i]);
  }
  echelon_put_number(&request, listing->limit), echelon_put_number(&request, listing->reverse);
  echelon_put_content(&request, listing->cursor.at, listing->cursor.length);
  echelon_bytes from = echelon_taken(echelon_host_kv_list(request.at, request.length));
  uint32_t count = echelon_get_number(&from);
  echelon_entry *entries = (echelon_entry *)echelon_allocate(count * sizeof *entries);
  for (uint32_t i = 0; i < count; i++) {
    echelon_key key = echelon_get_key(&from);
    entries[i] = echelon_get_entry(key, &from);
  }
  echelon_page page = {entries, count, echelon_get_text(&from)};
  return page;
}

// Checks and changes that happen together or not at all: `echelon_atomic change = {0};`, what it shall do, and
// echelon_atomic_commit().
typedef struct { uint32_t check_count, change_count; echelon_buffer checks, changes; } echelon_atomic;

// Require that a key still has this versionstamp; an empty one requires that there is no entry.
static inline void echelon_atomic_check(echelon_atomic *change, echelon_key key, echelon_text versionstamp) {
  change->check_count++;
  echelon_put_key(&change->checks, key);
  echelon_put_content(&change->checks, versionstamp.at, versionstamp.length);
}
static inline void echelon_atomic_begin(echelon_atomic *change, uint32_t action, echelon_key key) {
  change->change_count++;
  echelon_put_number(&change->changes, action);
  echelon_put_key(&change->changes, key);
}
static inline void echelon_atomic_set(echelon_atomic *change, echelon_key key, uint32_t kind, const void *content,
                                      size_t length, int64_t milliseconds) {
  echelon_atomic_begin(change, 1, key);
  echelon_put(&change->changes, &milliseconds, sizeof milliseconds);
  echelon_put_number(&change->changes, kind), echelon_put_content(&change->changes, content, length);
}
static inline void echelon_atomic_delete(echelon_atomic *change, echelon_key key) { echelon_atomic_begin(change, 2, key); }

// Change the number under a key, where none counts as 0.
static inline void echelon_atomic_sum(echelon_atomic *change, echelon_key key, uint64_t number) {
  echelon_atomic_begin(change, 3, key), echelon_put(&change->changes, &number, sizeof number);
}
static inline void echelon_atomic_min(echelon_atomic *change, echelon_key key, uint64_t number) {
  echelon_atomic_begin(change, 4, key), echelon_put(&change->changes, &number, sizeof number);
}
static inline void echelon_atomic_max(echelon_atomic *change, echelon_key key, uint64_t number) {
  echelon_atomic_begin(change, 5, key), echelon_put(&change->changes, &number, sizeof number);
}

// Do it; gives the versionstamp, whose `at` is NULL when a check failed and nothing was changed.
static inline echelon_text echelon_atomic_commit(const echelon_atomic *change) {
  echelon_buffer commit = {NULL, 0, 0};
  echelon_put_number(&commit, change->check_count), echelon_put(&commit, change->checks.at, change->checks.length);
  echelon_put_number(&commit, change->change_count), echelon_put(&commit, change->changes.at, change->changes.length);
  echelon_bytes stamp = echelon_taken(echelon_host_kv_atomic(commit.at, commit.length));
  echelon_text made = {(const char *)stamp.at, stamp.length};
  return made;
}
