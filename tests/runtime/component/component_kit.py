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
