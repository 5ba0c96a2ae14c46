// A guest in C without a kit: the ABI `linear` of docs/abi.md and nothing else. Compiled with
// zig cc -target wasm32-freestanding -O2 -nostdlib -Wl,--no-entry longest.c -o longest.wasm

typedef unsigned char u8;
typedef unsigned u32;
typedef unsigned long long u64;

#define EXPORT(signature) __attribute__((export_name(signature)))
#define HOST(name) __attribute__((import_module("echelon"), import_name(name)))

HOST("abort") void host_abort(const char *text, u32 length, const char *file, u32 size, u32 line, u32 column);
#define FAIL(text) host_abort(text, sizeof(text) - 1, __FILE__, sizeof(__FILE__) - 1, __LINE__, 0)

typedef struct { const char *at; u32 length; } Text;

// The arguments of the next call. A result may point into them.
static _Alignas(8) u8 block[64 << 10];

EXPORT("echelon_alloc") u8 *allocate(u32 size) { return size <= sizeof block ? block : 0; }

// A text alone is one number; `option` makes pointer 0 none.
static u64 text(Text it) { return (u64)(u32)it.at << 32 | it.length; }

EXPORT("longest(words: list<str>) -> option<str>")
u64 longest(const Text *words, u32 count) {
  Text found = {0, 0};
  for (u32 i = 0; i < count; i++)
    if (!found.at || words[i].length > found.length) found = words[i];
  return text(found);
}

// Several results lie in a struct.
typedef struct { double mean; u8 has_largest; double largest; u32 count; } Summary;

EXPORT("summary(numbers: list<f64>) -> f64, option<f64>, u32")
const Summary *summary(const double *numbers, u32 count) {
  static Summary found;
  found = (Summary){.count = count};
  for (u32 i = 0; i < count; i++) {
    found.mean += numbers[i] / count;
    if (!found.has_largest || numbers[i] > found.largest) found.largest = numbers[i];
    found.has_largest = 1;
  }
  return &found;
}

EXPORT("first(text: bytes, n: option<u32>) -> bytes")
u64 first(const char *at, u32 length, int is_given, u32 n) {
  if (is_given && n > length) FAIL("there are not so many bytes");
  return text((Text){at, is_given ? n : 1});
}
