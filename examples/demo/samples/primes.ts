export function primes(limit: i32): i32[] {
  const found: i32[] = [];
  for (let n = 2; n < limit; n++) {
    let prime = true;
    for (let i = 0; i < found.length && prime; i++) {
      if (n % found[i] == 0) prime = false;
    }
    if (prime) found.push(n);
  }
  return found;
}
