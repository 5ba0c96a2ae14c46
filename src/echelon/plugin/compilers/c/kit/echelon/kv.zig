//! The key-value store of the host (docs/abi.md):
//!
//!     kv.set(.{ "users", 7 }, "Ada");
//!
//! A key is a tuple of its parts, or a slice of `Part`. What is read lies in the arena of the call.
const std = @import("std");
const host = @import("host.zig");

pub const Part = union(enum(u32)) {
    bytes: []const u8 = 1,
    text: []const u8,
    int: i64,
    float: f64,
    bool: bool,
    /// A whole number that no i64 holds: its decimal digits.
    large: []const u8,

    pub fn eql(part: Part, other: Part) bool {
        if (std.meta.activeTag(part) != other) return false;
        return switch (part) {
            .bytes => |content| std.mem.eql(u8, content, other.bytes),
            .text => |content| std.mem.eql(u8, content, other.text),
            .int => |number| number == other.int,
            .float => |number| number == other.float,
            .bool => |truth| truth == other.bool,
            .large => |digits| std.mem.eql(u8, digits, other.large),
        };
    }
};

pub const Key = []const Part;

/// A part that is bytes; slices of u8 alone are text.
pub fn bytes(content: []const u8) Part {
    return .{ .bytes = content };
}

/// The key of a tuple, in the arena of the call.
pub fn key(parts: anytype) Key {
    const T = @TypeOf(parts);
    if (T == Key or T == []Part) return parts;
    const info = @typeInfo(T);
    if (info != .@"struct" or !info.@"struct".is_tuple) {
        @compileError("a key is a tuple of its parts, .{ \"users\", 7 }, not " ++ @typeName(T));
    }
    const made = host.make(Part, parts.len);
    inline for (parts, 0..) |part, index| made[index] = partOf(part);
    return made;
}

fn partOf(value: anytype) Part {
    const T = @TypeOf(value);
    return switch (@typeInfo(T)) {
        .bool => .{ .bool = value },
        .int => |number| if (number.bits < 64 or (number.bits == 64 and number.signedness == .signed))
            .{ .int = value }
        else
            @compileError("a whole number in a key is an i64, not " ++ @typeName(T)),
        .comptime_int => .{ .int = value },
        .float, .comptime_float => .{ .float = value },
        else => if (T == Part) value else .{ .text = textOf(value, "a part of a key") },
    };
}

fn textOf(value: anytype, comptime what: []const u8) []const u8 {
    const T = @TypeOf(value);
    const info = @typeInfo(T);
    const is_text = info == .pointer and switch (info.pointer.size) {
        .slice => info.pointer.child == u8,
        .one => @typeInfo(info.pointer.child) == .array and @typeInfo(info.pointer.child).array.child == u8,
        else => false,
    };
    if (!is_text) @compileError(what ++ " cannot be " ++ @typeName(T));
    return value;
}

/// What can be stored. Sums, minimums and maximums work on numbers.
pub const Value = union(enum(u32)) {
    bytes: []const u8 = 0,
    text: []const u8,
    /// Its text.
    json: []const u8,
    number: u64,

    fn of(value: anytype) Value {
        const T = @TypeOf(value);
        return switch (@typeInfo(T)) {
            .int => |number| if (number.signedness == .unsigned and number.bits <= 64)
                .{ .number = value }
            else
                @compileError("a number of the store is a u64; of another one make JSON: kv.json(number)"),
            .comptime_int => .{ .number = value },
            else => if (T == Value) value else .{ .text = textOf(value, "a value of the store") },
        };
    }

    /// The bytes that cross; those of a number lie in the value itself.
    fn content(value: *const Value) []const u8 {
        return switch (value.*) {
            .bytes, .text, .json => |stored| stored,
            .number => |*number| std.mem.asBytes(number),
        };
    }

    fn read(from: *host.Reader) Value {
        const kind = from.number();
        const stored = from.text();
        return switch (kind) {
            0 => .{ .bytes = stored },
            1 => .{ .text = stored },
            2 => .{ .json = stored },
            3 => if (stored.len == 8)
                .{ .number = @bitCast(stored[0..8].*) }
            else
                host.fail("a number of the store has {} bytes", .{stored.len}),
            else => host.fail("a value of the store is of the unknown kind {}", .{kind}),
        };
    }
};

/// A value that std.json knows, to be stored as JSON.
pub fn json(value: anytype) Value {
    return .{ .json = std.json.Stringify.valueAlloc(host.arena, value, .{}) catch host.outOfMemory() };
}

/// What is under a key; the versionstamp changes with every change.
pub const Entry = struct {
    key: Key,
    versionstamp: []const u8,
    value: Value,

    /// The text, null when it is none.
    pub fn text(entry: Entry) ?[]const u8 {
        return if (entry.value == .text) entry.value.text else null;
    }
    /// The number that sums work on, null when it is none.
    pub fn number(entry: Entry) ?u64 {
        return if (entry.value == .number) entry.value.number else null;
    }
    /// The value that JSON stands for.
    pub fn parse(entry: Entry, comptime T: type) !T {
        if (entry.value != .json) return error.NotJson;
        return std.json.parseFromSliceLeaky(T, host.arena, entry.value.json, .{});
    }

    fn read(name: Key, from: *host.Reader) Entry {
        return .{ .key = name, .versionstamp = from.text(), .value = .read(from) };
    }
};

pub fn get(name: anytype) ?Entry {
    const parts = key(name);
    var from: host.Reader = .{ .left = encoded(parts).call(host.kv_get) orelse return null };
    return .read(parts, &from);
}

/// Store a value; gives its versionstamp.
pub fn set(name: anytype, value: anytype) []const u8 {
    return setFor(name, value, 0);
}

/// Store a value for some milliseconds, or for ever when these are 0.
pub fn setFor(name: anytype, value: anytype, milliseconds: i64) []const u8 {
    const stored: Value = .of(value);
    const content, const place = .{ stored.content(), encoded(key(name)).made.items };
    const kind = @intFromEnum(stored);
    return host.taken(host.kv_set(place.ptr, place.len, kind, content.ptr, content.len, milliseconds)) orelse "";
}

pub fn delete(name: anytype) void {
    const place = encoded(key(name)).made.items;
    host.kv_delete(place.ptr, place.len);
}

/// Which entries below a prefix: from `start` on, before `end`, at most `limit`. `cursor` is that of the page before.
pub const Listing = struct {
    prefix: Key = &.{},
    start: ?Key = null,
    end: ?Key = null,
    limit: u32 = 100,
    reverse: bool = false,
    cursor: []const u8 = "",
};

/// Some entries; an empty `cursor` says that there are no more.
pub const Page = struct { entries: []const Entry, cursor: []const u8 };

pub fn list(what: Listing) Page {
    var into = encoded(what.prefix);
    for ([_]?Key{ what.start, what.end }) |bound| {
        into.number(@intFromBool(bound != null));
        if (bound) |place| write(&into, place);
    }
    into.number(what.limit);
    into.number(@intFromBool(what.reverse));
    into.text(what.cursor);
    var from: host.Reader = .{ .left = into.call(host.kv_list) orelse "" };
    const entries = host.make(Entry, from.number());
    for (entries) |*entry| entry.* = .read(readKey(&from), &from);
    return .{ .entries = entries, .cursor = from.text() };
}

/// Checks and changes that happen together or not at all: `var change: kv.Atomic = .{};`, what it shall do, and commit().
pub const Atomic = struct {
    check_count: usize = 0,
    change_count: usize = 0,
    checks: host.Writer = .{},
    changes: host.Writer = .{},

    /// Require that a key still has this versionstamp; null requires that there is no entry.
    pub fn check(change: *Atomic, name: anytype, versionstamp: ?[]const u8) void {
        change.check_count += 1;
        write(&change.checks, key(name));
        change.checks.text(versionstamp orelse "");
    }
    pub fn set(change: *Atomic, name: anytype, value: anytype) void {
        change.setFor(name, value, 0);
    }
    pub fn setFor(change: *Atomic, name: anytype, value: anytype, milliseconds: i64) void {
        const stored: Value = .of(value);
        change.start(1, key(name));
        change.changes.raw(milliseconds);
        change.changes.number(@intFromEnum(stored));
        change.changes.text(stored.content());
    }
    pub fn delete(change: *Atomic, name: anytype) void {
        change.start(2, key(name));
    }
    /// Add to the number under a key, where none counts as 0.
    pub fn sum(change: *Atomic, name: anytype, number: u64) void {
        change.start(3, key(name));
        change.changes.raw(number);
    }
    pub fn min(change: *Atomic, name: anytype, number: u64) void {
        change.start(4, key(name));
        change.changes.raw(number);
    }
    pub fn max(change: *Atomic, name: anytype, number: u64) void {
        change.start(5, key(name));
        change.changes.raw(number);
    }
    /// Do it; gives the versionstamp, null when a check failed and nothing was changed.
    pub fn commit(change: Atomic) ?[]const u8 {
        var into: host.Writer = .{};
        into.number(change.check_count);
        into.append(change.checks.made.items);
        into.number(change.change_count);
        into.append(change.changes.made.items);
        return into.call(host.kv_atomic);
    }

    fn start(change: *Atomic, action: u32, name: Key) void {
        change.change_count += 1;
        change.changes.number(action);
        write(&change.changes, name);
    }
};

fn encoded(name: Key) host.Writer {
    var into: host.Writer = .{};
    write(&into, name);
    return into;
}

fn write(into: *host.Writer, name: Key) void {
    into.number(name.len);
    for (name) |part| {
        into.number(@intFromEnum(part));
        switch (part) {
            .bytes, .text, .large => |content| into.text(content),
            .int => |number| into.raw(number),
            .float => |number| into.raw(number),
            .bool => |truth| into.number(@intFromBool(truth)),
        }
    }
}

fn readKey(from: *host.Reader) Key {
    const parts = host.make(Part, from.number());
    for (parts) |*part| part.* = switch (from.number()) {
        1 => .{ .bytes = from.text() },
        2 => .{ .text = from.text() },
        3 => .{ .int = from.raw(i64) },
        4 => .{ .float = from.raw(f64) },
        5 => .{ .bool = from.number() != 0 },
        6 => .{ .large = from.text() },
        else => |kind| host.fail("a part of a key is of the unknown kind {}", .{kind}),
    };
    return parts;
}
