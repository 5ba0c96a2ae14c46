// The same function the way extism has it, input and output as its AssemblyScript kit reads and writes them.
@external("extism:host/env", "input_length") declare function input_length(): u64;
@external("extism:host/env", "input_load_u8") declare function input_load_u8(offset: u64): u32;
@external("extism:host/env", "input_load_u64") declare function input_load_u64(offset: u64): u64;
@external("extism:host/env", "alloc") declare function alloc(size: u64): u64;
@external("extism:host/env", "store_u8") declare function store_u8(offset: u64, value: u32): void;
@external("extism:host/env", "store_u64") declare function store_u64(offset: u64, value: u64): void;
@external("extism:host/env", "output_set") declare function output_set(offset: u64, size: u64): void;

function input(): string {
  const size = <usize>input_length();
  const bytes = new ArrayBuffer(<i32>size);
  const start = changetype<usize>(bytes);
  let at: usize = 0;
  for (; at + 8 <= size; at += 8) store<u64>(start + at, input_load_u64(at));
  for (; at < size; at++) store<u8>(start + at, <u8>input_load_u8(at));
  return String.UTF8.decode(bytes);
}

function output(text: string): void {
  const bytes = String.UTF8.encode(text);
  const start = changetype<usize>(bytes), size = <usize>bytes.byteLength;
  const block = alloc(size);
  let at: usize = 0;
  for (; at + 8 <= size; at += 8) store_u64(block + at, load<u64>(start + at));
  for (; at < size; at++) store_u8(block + at, load<u8>(start + at));
  output_set(block, size);
}

export function greet(): i32 {
  output("Hello, " + input() + "!");
  return 0;
}
