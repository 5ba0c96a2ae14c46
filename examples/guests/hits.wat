;; Counts the requests it gets, in the key-value store, and answers with the count. It needs the permission `kv` for `hits`.
(module
  (import "echelon" "kv_atomic" (func $commit (param i32 i32) (result i32)))
  (import "echelon" "kv_get" (func $get (param i32 i32) (result i32)))
  (import "echelon" "take" (func $take (param i32)))
  (memory (export "memory") 2)

  ;; a commit: no check, one action, which is to add (3) to the key ["hits"] (at 12, 16 bytes) the number 1
  (data (i32.const 0) "\00\00\00\00" "\01\00\00\00" "\03\00\00\00"
    "\01\00\00\00" "\02\00\00\00" "\04\00\00\00hits" "\01\00\00\00\00\00\00\00")

  ;; the head of the response: version 1, status 200, one header; at 106 follows the length of the body, then the body
  (data (i32.const 64) "\01\00\00\00" "\c8\00\00\00" "\01\00\00\00" "\0c\00\00\00content-type" "\0a\00\00\00text/plain")

  ;; requests lie at 65536, of which nothing is read
  (func (export "echelon_alloc") (param $size i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $size) (i32.const 65536))))

  (func (export "handle(request: bytes) -> bytes") (param i32 i32) (result i64)
    (local $digits i32)
    (local.set $digits (call $write (call $count)))
    (i32.store (i32.const 106) (local.get $digits))
    (i64.or (i64.const 0x40_00000000) ;; the address, 64, in the upper half, the length in the lower
      (i64.extend_i32_u (i32.add (i32.const 46) (local.get $digits)))))

  ;; add one; the entry that is there then is its versionstamp, its kind, and its content, the last of which is the number
  (func $count (result i64)
    (drop (call $commit (i32.const 0) (i32.const 36)))
    (drop (call $get (i32.const 12) (i32.const 16)))
    (call $take (i32.const 256))
    (i64.load (i32.add (i32.const 268) (i32.load (i32.const 256)))))

  ;; write the decimal digits of a number to 110, and return how many they are
  (func $write (param $number i64) (result i32)
    (local $rest i64) (local $digits i32) (local $at i32)
    (local.set $rest (local.get $number))
    (loop $counted
      (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
      (local.set $rest (i64.div_u (local.get $rest) (i64.const 10)))
      (br_if $counted (i64.ne (local.get $rest) (i64.const 0))))
    (local.set $at (local.get $digits))
    (loop $written
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i64.store8 offset=110 (local.get $at) (i64.add (i64.const 48) (i64.rem_u (local.get $number) (i64.const 10))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $written (local.get $at)))
    (local.get $digits)))
