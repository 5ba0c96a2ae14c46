#include <echelon.h>

ECHELON_EXPORT("greet(name: str, times: u32) -> str")
echelon_result greet(ECHELON_TEXT(name), unsigned times) {
  echelon_log(ECHELON_INFO, "greeting %.*s", (int)name_length, name);
  return echelon_format("Hello, %.*s, %u times!", (int)name_length, name, times);
}
