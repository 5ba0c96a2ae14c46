;; The same function the way extism has it: two numbers come in as bytes, their sum goes out as bytes.
(module
  (import "extism:host/env" "input_load_u64" (func $input (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory (export "memory") 0)
  (func (export "add") (result i32)
    (local $pair i64) (local $out i64)
    (local.set $pair (call $input (i64.const 0)))
    (local.set $out (call $alloc (i64.const 8)))
    (call $store (local.get $out)
      (i64.extend_i32_u
        (i32.add (i32.wrap_i64 (local.get $pair))
                 (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))))
    (call $output (local.get $out) (i64.const 4))
    (i32.const 0)))
