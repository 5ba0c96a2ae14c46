//! What a guest in Zig uses of its host: `const echelon = @import("echelon");`
//!
//!     comptime { echelon.exports("greet(who: str) -> str", greet); }
//!     fn greet(who: []const u8) []const u8 { return echelon.format("Hello, {s}!", .{who}); }
//!
//! Text, bytes and lists are slices, options of them `?[]…`. Memory of `allocator` that a call takes stays until the
//! instance ends; a call in a fresh instance frees nothing.
const std = @import("std");

pub const allocator = std.heap.wasm_allocator;

const host = struct {
    extern "echelon" fn abort(text: [*]const u8, length: usize, file: ?[*]const u8, size: usize, line: u32, column: u32) void;
    extern "echelon" fn log(level: i32, text: [*]const u8, length: usize) void;
    extern "echelon" fn env_get(name: [*]const u8, length: usize) i32;
    extern "echelon" fn take(into: [*]u8) void;
    extern "echelon" fn kv_get(key: [*]const u8, length: usize) i32;
    extern "echelon" fn kv_set(key: [*]const u8, length: usize, kind: u32, value: [*]const u8, size: usize, expire: i64) i32;
    extern "echelon" fn kv_delete(key: [*]const u8, length: usize) void;
};

pub fn allocate(size: usize) callconv(.c) ?[*]u8 {
    return (allocator.alignedAlloc(u8, .@"8", size) catch return null).ptr;
}

comptime {
    @export(&allocate, .{ .name = "echelon_alloc" });
}

/// End the call; its caller reads the message.
pub fn fail(comptime text: []const u8, values: anytype) noreturn {
    panic(format(text, values), null);
}

pub fn panic(message: []const u8, _: ?usize) noreturn {
    host.abort(message.ptr, message.len, null, 0, 0, 0);
    @trap();
}

pub fn format(comptime text: []const u8, values: anytype) []const u8 {
    return std.fmt.allocPrint(allocator, text, values) catch @panic("out of memory");
}

pub const Level = enum(i32) { debug, info, warning, @"error" };

pub fn log(level: Level, comptime text: []const u8, values: anytype) void {
    const line = format(text, values);
    host.log(@intFromEnum(level), line.ptr, line.len);
}

pub fn env(name: []const u8) ?[]const u8 {
    return taken(host.env_get(name.ptr, name.len));
}

/// Export a function under its signature; see docs/abi.md for the types.
pub fn exports(comptime signature: []const u8, comptime function: anytype) void {
    @export(&Wrapper(function).call, .{ .name = signature });
}

/// The key-value store, for keys of texts and values that are bytes or text.
pub const kv = struct {
    pub fn get(parts: []const []const u8) ?[]const u8 {
        const name = encode(parts);
        const entry = taken(host.kv_get(name.ptr, name.len)) orelse return null;
        const stamp = std.mem.readInt(u32, entry[0..4], .little);
        return entry[12 + stamp ..];
    }

    pub fn setText(parts: []const []const u8, value: []const u8) void {
        const name = encode(parts);
        _ = host.kv_set(name.ptr, name.len, 1, value.ptr, value.len, 0);
    }

    pub fn delete(parts: []const []const u8) void {
        const name = encode(parts);
        host.kv_delete(name.ptr, name.len);
    }

    fn encode(parts: []const []const u8) []const u8 {
        var size: usize = 4;
        for (parts) |part| size += 8 + part.len;
        const name = allocator.alloc(u8, size) catch @panic("out of memory");
        std.mem.writeInt(u32, name[0..4], @intCast(parts.len), .little);
        var at: usize = 4;
        for (parts) |part| {
            std.mem.writeInt(u32, name[at..][0..4], 2, .little);
            std.mem.writeInt(u32, name[at + 4 ..][0..4], @intCast(part.len), .little);
            @memcpy(name[at + 8 ..][0..part.len], part);
            at += 8 + part.len;
        }
        return name;
    }
};

fn taken(length: i32) ?[]u8 {
    if (length < 0) return null;
    const found = allocator.alloc(u8, @intCast(length)) catch @panic("out of memory");
    host.take(found.ptr);
    return found;
}

fn Wrapper(comptime function: anytype) type {
    const F = @TypeOf(function);
    const W = Words(F);
    const R = Result(@typeInfo(F).@"fn".return_type.?);
    return switch (W.len) {
        0 => struct {
            pub fn call() callconv(.c) R {
                return run(function, .{});
            }
        },
        1 => struct {
            pub fn call(a: W[0]) callconv(.c) R {
                return run(function, .{a});
            }
        },
        2 => struct {
            pub fn call(a: W[0], b: W[1]) callconv(.c) R {
                return run(function, .{ a, b });
            }
        },
        3 => struct {
            pub fn call(a: W[0], b: W[1], c: W[2]) callconv(.c) R {
                return run(function, .{ a, b, c });
            }
        },
        4 => struct {
            pub fn call(a: W[0], b: W[1], c: W[2], d: W[3]) callconv(.c) R {
                return run(function, .{ a, b, c, d });
            }
        },
        5 => struct {
            pub fn call(a: W[0], b: W[1], c: W[2], d: W[3], e: W[4]) callconv(.c) R {
                return run(function, .{ a, b, c, d, e });
            }
        },
        6 => struct {
            pub fn call(a: W[0], b: W[1], c: W[2], d: W[3], e: W[4], f: W[5]) callconv(.c) R {
                return run(function, .{ a, b, c, d, e, f });
            }
        },
        else => @compileError("a function has at most six words of parameters; a slice counts as two"),
    };
}

fn Slice(comptime T: type) ?type {
    const S = if (@typeInfo(T) == .optional) @typeInfo(T).optional.child else T;
    return if (@typeInfo(S) == .pointer and @typeInfo(S).pointer.size == .slice) S else null;
}

fn Words(comptime F: type) []const type {
    comptime {
        var words: []const type = &.{};
        for (parameters(F)) |T| {
            words = words ++ if (Slice(T)) |S| &[_]type{ ?[*]const @typeInfo(S).pointer.child, usize } else &[_]type{T};
        }
        return words;
    }
}

fn parameters(comptime F: type) []const type {
    comptime {
        var types: []const type = &.{};
        for (@typeInfo(F).@"fn".param_types) |T| types = types ++ &[_]type{T.?};
        return types;
    }
}

fn Result(comptime T: type) type {
    return if (Slice(T) != null) u64 else T;
}

fn run(comptime function: anytype, words: anytype) Result(@typeInfo(@TypeOf(function)).@"fn".return_type.?) {
    var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
    comptime var word = 0;
    inline for (comptime parameters(@TypeOf(function)), 0..) |T, position| {
        if (Slice(T) == null) {
            arguments[position] = words[word];
            word += 1;
        } else {
            const pointer, const length = .{ words[word], words[word + 1] };
            arguments[position] = if (pointer) |start| start[0..length] else if (@typeInfo(T) == .optional) null else &.{};
            word += 2;
        }
    }
    const result = @call(.auto, function, arguments);
    if (Slice(@TypeOf(result)) == null) return result;
    const found = if (@typeInfo(@TypeOf(result)) == .optional) (result orelse return 0) else result;
    return @as(u64, @intFromPtr(found.ptr)) << 32 | found.len;
}
