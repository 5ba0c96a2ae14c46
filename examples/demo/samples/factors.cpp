#include <echelon.hpp>

std::vector<std::uint32_t> factors(std::uint32_t number) {
  if (number == 0) echelon::fail("zero has no factors");
  std::vector<std::uint32_t> found;
  for (std::uint32_t n = 2; number > 1; ++n) {
    while (number % n == 0) {
      found.push_back(n);
      number /= n;
    }
  }
  return found;
}
ECHELON_FUNCTION(factors, number)
