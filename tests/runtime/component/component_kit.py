"""Components that the tests are made of, written as text."""

from __future__ import annotations

MEMORY = """
  (core module $mem
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (block $enough
        (loop $more
          (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
          (br $more)))
      (memory.copy (local.get $at) (local.get $old) (local.get $size))
      (local.get $at)))
  (core instance $mem (instantiate $mem))
"""
"""A memory with an allocator that never frees."""

WITH_MEMORY = '(memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))'


def echo(type_: str, flat: str, *, types: str = "", retptr: bool | None = None) -> str:
    """Return a component that passes a value on to the host function "back", and returns what that returns.

    `flat` are the core types of the value; `types` declares named types; many flat values travel by pointer.
    """
    cores = flat.split()
    by_pointer = len(cores) > 16
    params = ["i32"] if by_pointer else cores
    ret = len(cores) > 1 if retptr is None else retptr
    gets = " ".join(f"(local.get {n})" for n in range(len(params)))
    head = f"(param {' '.join(params)})"
    if ret:
        imported = f"(func (param {' '.join([*params, 'i32'])}))"
        body = f"{head} (result i32) (call $back {gets} (i32.const 1024)) (i32.const 1024)"
    else:
        imported = f"(func {head} (result {cores[0]}))"
        body = f"{head} (result {cores[0]}) (call $back {gets})"
    return f"""(component
      {types}
      (import "back" (func $back (param "x" {type_}) (result {type_})))
      {MEMORY}
      (core func $lowered (canon lower (func $back) {WITH_MEMORY}))
      (core module $m
        (import "host" "back" (func $back {imported.removeprefix("(func ").removesuffix(")")}))
        (func (export "echo") {body}))
      (core instance $i (instantiate $m (with "host" (instance (export "back" (func $lowered))))))
      (func (export "echo") (param "x" {type_}) (result {type_})
        (canon lift (core func $i "echo") {WITH_MEMORY})))"""


def named(name: str, definition: str) -> str:
    """Declare a type under a name, as records, variants, enums and flags must be."""
    return f'(type ${name}-type {definition}) (import "{name}" (type ${name} (eq ${name}-type)))'


LEDGER = """
  (core module $ledger
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 4096))
    (global $calls (mut i32) (i32.const 0))
    (global $align (mut i32) (i32.const 0))
    (global $size (mut i32) (i32.const 0))
    (global $cleaned (mut i32) (i32.const 0))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (if (i32.or (local.get $old) (local.get $had)) (then (unreachable)))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.set $align (local.get $align))
      (global.set $size (local.get $new))
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (if (i32.eq (local.get $align) (i32.const 1))
        (then (local.set $at (i32.or (local.get $at) (i32.const 1)))))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (block $enough
        (loop $more
          (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
          (br $more)))
      (local.get $at))
    (func (export "post") (param i32) (global.set $cleaned (i32.add (global.get $cleaned) (i32.const 1))))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "pair") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
    (func (export "length") (param i32 i32) (result i32) (local.get 1))
    (func (export "ledger") (result i32)
      (i32.store (i32.const 32) (global.get $calls)) (i32.store (i32.const 36) (global.get $align))
      (i32.store (i32.const 40) (global.get $size)) (i32.store (i32.const 44) (global.get $cleaned))
      (i32.const 32)))
  (core instance $i (instantiate $ledger))
"""
"""An allocator that keeps account: it gives odd places where it may, and traps when asked to move something."""

WITH_LEDGER = '(memory (core memory $i "memory")) (realloc (core func $i "realloc"))'
_SEE_LEDGER = f"""(func (export "ledger") (result (tuple u32 u32 u32 u32))
  (canon lift (core func $i "ledger") {WITH_LEDGER}))"""


def keeper(type_: str, types: str = "") -> str:
    """Return a component whose function "same" returns a pair of any value and many numbers as it was given.

    So many parts travel by pointer in both directions, whatever they are.
    """
    box = f"(tuple {type_} (tuple {' '.join(['u8'] * 16)}))"
    return f"""(component
      {types}
      {LEDGER}
      (func (export "same") (param "x" {box}) (result {box})
        (canon lift (core func $i "same") {WITH_LEDGER} (post-return (core func $i "post"))))
      {_SEE_LEDGER})"""


def bytes_kit(
    result: str = "(list u8)", function: str = "pair", *, param: str = "(list u8)", interface: bool = False
) -> str:
    """Return a component with a function of bytes; in an interface it is named by a component inside."""
    lift = f"""(canon lift (core func $i "{function}") {WITH_LEDGER}
      {'(post-return (core func $i "post"))' if function == "pair" else ""})"""
    signature = f'(param "data" {param}) (result {result})'
    if not interface:
        export = f'(func (export "go") {signature} {lift})'
    else:
        export = f"""(func $go {signature} {lift})
          (component $names
            (import "import-func-go" (func $go {signature}))
            (export "go" (func $go)))
          (instance $named (instantiate $names (with "import-func-go" (func $go))))
          (export "acme:bytes/ops@1.0.0" (instance $named))"""
    return f"(component {LEDGER} {export} {_SEE_LEDGER})"
