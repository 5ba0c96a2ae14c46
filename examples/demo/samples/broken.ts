export function area(radius: f64): f64 {
  const pi: f64 = "three";
  return pi * radius * radius;
}
