export function forever(): void {
  while (true) {}
}
