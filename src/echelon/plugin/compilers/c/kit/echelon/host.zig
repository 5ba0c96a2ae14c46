//! The functions of the host, the memory of calls, and buffers that cross (docs/abi.md).
const std = @import("std");

pub extern "echelon" fn env_get(name: [*]const u8, length: usize) i32;
pub extern "echelon" fn read_file(path: [*]const u8, length: usize) i32;
pub extern "echelon" fn write_file(path: [*]const u8, length: usize, content: [*]const u8, size: usize) i32;
pub extern "echelon" fn kv_get(key: [*]const u8, length: usize) i32;
pub extern "echelon" fn kv_set(key: [*]const u8, length: usize, kind: u32, content: [*]const u8, size: usize, expire: i64) i32;
pub extern "echelon" fn kv_delete(key: [*]const u8, length: usize) void;
pub extern "echelon" fn kv_list(request: [*]const u8, length: usize) i32;
pub extern "echelon" fn kv_atomic(commit: [*]const u8, length: usize) i32;
pub extern "echelon" fn fetch(request: [*]const u8, length: usize) i32;

const native = struct {
    extern "echelon" fn abort(text: [*]const u8, length: usize, file: ?[*]const u8, size: usize, line: u32, column: u32) void;
    extern "echelon" fn log(level: i32, text: [*]const u8, length: usize) void;
    extern "echelon" fn take(into: [*]u8) void;
};

pub const allocator = std.heap.wasm_allocator;
pub const arena = of_call.allocator();

/// What of a call's memory the next call gets again.
const kept = 1 << 20;

var of_call: std.heap.ArenaAllocator = .init(allocator);
var block: []align(8) u8 = &.{};

/// Begin a call: what was made for the last one goes. The arguments of this one lie in the block.
pub fn begin() void {
    _ = of_call.reset(.{ .retain_with_limit = kept });
}

/// Room for the arguments of a call; the next call gets the same.
fn allocate(size: usize) callconv(.c) ?[*]u8 {
    if (size > block.len or block.len == 0) {
        allocator.free(block);
        block = &.{};
        block = allocator.alignedAlloc(u8, .@"8", @max(size, 64)) catch return null;
    }
    return block.ptr;
}

comptime {
    @export(&allocate, .{ .name = "echelon_alloc" });
}

pub fn stop(message: []const u8) noreturn {
    native.abort(message.ptr, message.len, null, 0, 0, 0);
    @trap();
}

/// End the call; its caller reads the message.
pub fn fail(comptime text: []const u8, arguments: anytype) noreturn {
    stop(format(text, arguments));
}

/// End the call for an error that nobody has caught.
pub fn end(problem: anyerror) noreturn {
    fail("error.{s}", .{@errorName(problem)});
}

pub fn outOfMemory() noreturn {
    stop("out of memory");
}

pub fn format(comptime text: []const u8, arguments: anytype) []const u8 {
    return std.fmt.allocPrint(arena, text, arguments) catch outOfMemory();
}

pub fn say(level: i32, line: []const u8) void {
    native.log(level, line.ptr, line.len);
}

pub fn make(comptime T: type, count: usize) []T {
    return arena.alloc(T, count) catch outOfMemory();
}

/// What the last function of the host has found; a negative length says that it found nothing.
pub fn taken(length: i32) ?[]u8 {
    if (length < 0) return null;
    const found = make(u8, @intCast(length));
    native.take(found.ptr);
    return found;
}

/// A buffer for the host.
pub const Writer = struct {
    made: std.ArrayList(u8) = .empty,

    pub fn append(into: *Writer, content: []const u8) void {
        into.made.appendSlice(arena, content) catch outOfMemory();
    }
    pub fn number(into: *Writer, value: usize) void {
        into.raw(@as(u32, @intCast(value)));
    }
    pub fn raw(into: *Writer, value: anytype) void {
        into.append(std.mem.asBytes(&value)); // both are little-endian
    }
    pub fn text(into: *Writer, content: []const u8) void {
        into.number(content.len);
        into.append(content);
    }
    pub fn call(into: Writer, comptime function: anytype) ?[]u8 {
        return taken(function(into.made.items.ptr, into.made.items.len));
    }
};

/// A buffer of the host, read from the front.
pub const Reader = struct {
    left: []const u8,

    pub fn take(from: *Reader, size: usize) []const u8 {
        if (size > from.left.len) fail("a buffer of the host ends too early", .{});
        defer from.left = from.left[size..];
        return from.left[0..size];
    }
    pub fn number(from: *Reader) u32 {
        return from.raw(u32);
    }
    pub fn raw(from: *Reader, comptime T: type) T {
        return @bitCast(from.take(@sizeOf(T))[0..@sizeOf(T)].*);
    }
    pub fn text(from: *Reader) []const u8 {
        return from.take(from.number());
    }
};
