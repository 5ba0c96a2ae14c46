// Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.
// Words have one to three letters of eight; they come from a simple generator.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 4096

static int seed = 42;

static int below(int limit) {
  seed = (seed * 3877 + 29573) % 139968;
  return (int)((int64_t)seed * limit / 139968);
}

typedef struct { const char *word; size_t length; int count; } entry;

static entry table[PLACES];

static entry *find(const char *word, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)word[i]) * 16777619u;
  for (uint32_t place = hash % PLACES;; place = (place + 1) % PLACES) {
    entry *at = &table[place];
    if (!at->word) at->word = word, at->length = length;
    if (at->length == length && !memcmp(at->word, word, length)) return at;
  }
}

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  char *text = malloc((size_t)n * 4 + 1), *end = text;
  for (int i = 0; i < n; i++) {
    if (i) *end++ = ' ';
    for (int letters = 1 + below(3); letters; letters--) *end++ = (char)('a' + below(8));
  }
  for (const char *word = text, *at = text; at <= end; at++) {
    if (at < end && *at != ' ') continue;
    find(word, (size_t)(at - word))->count++;
    word = at + 1;
  }
  double sum = 0;
  for (int i = 0; i < PLACES; i++) sum += (double)table[i].count * table[i].count;
  return sum;
}
