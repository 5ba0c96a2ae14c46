"""What the tests of the command line share: the form of a result, and guests short enough to run in one's head."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ECHELON = Path(sys.executable).parent / "echelon"


@dataclass(frozen=True)
class Result:
    """What a command left."""

    status: int
    out: str
    err: str


Cli = Callable[..., Result]
Write = Callable[[str, str], Path]

MATH = """
export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
export function greet(name: string): string { return "Hello, " + name + "!" }
export function reverse(data: Uint8Array): Uint8Array { return data.slice().reverse() }
export function sum(xs: f64[]): f64 { let t = 0.0; for (let i = 0; i < xs.length; i++) t += xs[i]; return t }
export function maybe(s: string | null): string | null { return s ? s + "!" : null }
export function both(flag: bool, x: f32, big: u64): string {
  return flag.toString() + " " + x.toString() + " " + big.toString()
}
export function nothing(): void {}
export function fail(why: string): void { throw new Error(why) }
"""

HOST = """
import { env, log, file } from "echelon"
export function variable(name: string): string | null { log.info("asked for " + name); return env.get(name) }
"""

NUMBERS = """
(module
  (memory (export "memory") 1 2)
  (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func (export "pair") (result i32 f64) i32.const 7 f64.const nan)
  (func (export "boom") unreachable)
  (func (export "spin") (loop br 0))
  (func (export "take") (param externref)))
"""

WASI = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 900) "bad news\\n")
  (func $print (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; writes its arguments, each ended by a zero, then its standard input
  (func (export "_start")
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $args (i32.const 64) (i32.const 1024)))
    (call $print (i32.const 1) (i32.const 1024) (i32.load (i32.const 20)))
    (i32.store (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 1000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $print (i32.const 1) (i32.const 4096) (i32.load (i32.const 8)))
    (call $print (i32.const 2) (i32.const 900) (i32.const 9)))
  (func (export "quit") (param i32)
    (call $print (i32.const 1) (i32.const 900) (i32.const 9))
    (call $exit (local.get 0)))
  (func (export "look") (drop (call $env (i32.const 16) (i32.const 20)))))
"""

BROKEN = """\
export function f(): i32 {
  return "text";
}
\texport function g(): i32 { return nope; }
"""
