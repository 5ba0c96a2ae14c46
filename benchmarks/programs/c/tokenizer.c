// Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *records(int n) {
  char *made = malloc((size_t)n * 120 + 3), *at = made;
  *at++ = '[';
  for (int i = 0; i < n; i++) {
    if (i) *at++ = ',';
    at += sprintf(at, "{\"id\": %d, \"name\": \"item \\\"%d\\\"\", \"tags\": [\"a\", \"b\"], ", i, i % 100);
    at += sprintf(at, "\"price\": %d.5, \"ok\": %s, \"next\": null}", i % 1000, i % 2 ? "true" : "false");
  }
  *at++ = ']';
  *at = 0;
  return made;
}

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  int tokens = 0;
  double sum = 0;
  for (const char *at = records(n); *at;) {
    if (isspace((unsigned char)*at)) {
      at++;
      continue;
    }
    tokens++;
    if (*at == '"') {
      for (at++; *at != '"'; at++) at += *at == '\\';
      at++;
    } else if (isdigit((unsigned char)*at)) {
      double number = 0, place = 0.1;
      for (; isdigit((unsigned char)*at); at++) number = number * 10 + (*at - '0');
      if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++, place /= 10) number += (*at - '0') * place;
      sum += number;
    } else if (isalpha((unsigned char)*at)) {
      while (isalpha((unsigned char)*at)) at++;
    } else {
      at++;
    }
  }
  return tokens + sum;
}
