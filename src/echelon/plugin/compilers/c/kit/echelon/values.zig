//! How values cross: the ABI `linear` of docs/abi.md, for the types that a signature names.
const std = @import("std");
const host = @import("host.zig");

/// What a signature says of a value. Texts and bytes are the same here.
const Kind = union(enum) {
    number: []const u8,
    text,
    json,
    list: *const Kind,
    option: *const Kind,

    fn isSpan(comptime kind: Kind) bool {
        return switch (kind) {
            .number => false,
            .option => |item| item.isSpan(),
            else => true,
        };
    }
};

const Line = struct { params: []const Kind, results: []const Kind };

fn parse(comptime line: []const u8) Line {
    comptime {
        @setEvalBranchQuota(100_000);
        const open = std.mem.findScalar(u8, line, '(') orelse bad(line, "has no bracket");
        const close = std.mem.findScalarLast(u8, line, ')') orelse bad(line, "has no bracket at its end");
        if (close < open) bad(line, "closes a bracket before it opens one");
        const rest = std.mem.trim(u8, line[close + 1 ..], " ");
        if (rest.len > 0 and !std.mem.startsWith(u8, rest, "->")) bad(line, "has something behind the brackets");
        return .{
            .params = kinds(line, line[open + 1 .. close]),
            .results = if (rest.len > 0) kinds(line, rest[2..]) else &.{},
        };
    }
}

fn kinds(comptime line: []const u8, comptime text: []const u8) []const Kind {
    comptime {
        var found: []const Kind = &.{};
        if (std.mem.trim(u8, text, " ").len == 0) return found;
        var parts = std.mem.splitScalar(u8, text, ',');
        while (parts.next()) |part| {
            const colon = std.mem.findScalar(u8, part, ':');
            found = found ++ .{kindOf(line, std.mem.trim(u8, if (colon) |at| part[at + 1 ..] else part, " "))};
        }
        return found;
    }
}

fn kindOf(comptime line: []const u8, comptime name: []const u8) Kind {
    comptime {
        const numbers = [_][]const u8{ "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64", "bool" };
        for (numbers) |number| if (std.mem.eql(u8, name, number)) return .{ .number = number };
        if (std.mem.eql(u8, name, "str") or std.mem.eql(u8, name, "bytes")) return .text;
        if (std.mem.eql(u8, name, "json")) return .json;
        if (name.len > 0 and name[name.len - 1] == '>') {
            for (.{ "list<", "option<" }) |start| if (std.mem.startsWith(u8, name, start)) {
                const item = kindOf(line, std.mem.trim(u8, name[start.len .. name.len - 1], " "));
                if (start.len == 5) return .{ .list = &item };
                if (item == .option) bad(line, "has an option of an option");
                return .{ .option = &item };
            };
        }
        bad(line, "has the type \"" ++ name ++ "\", which is none");
    }
}

fn bad(comptime line: []const u8, comptime what: []const u8) noreturn {
    @compileError("the signature \"" ++ line ++ "\" " ++ what);
}

/// Require that a type of Zig is what a signature says.
fn check(comptime line: []const u8, comptime which: []const u8, comptime kind: Kind, comptime T: type) void {
    const fits = switch (kind) {
        .number => |name| std.mem.eql(u8, @typeName(T), name),
        .text => Item(T) == u8,
        .json => return,
        .list => |item| if (Item(T)) |I| return check(line, which, item.*, I) else false,
        .option => |item| if (@typeInfo(T) == .optional) return check(line, which, item.*, @typeInfo(T).optional.child) else false,
    };
    if (!fits) bad(line, "says otherwise of " ++ which ++ " than its function, where a type is " ++ @typeName(T));
}

/// What a slice is of, null for what is none.
fn Item(comptime T: type) ?type {
    const info = @typeInfo(T);
    return if (info == .pointer and info.pointer.size == .slice and info.pointer.sentinel_ptr == null) info.pointer.child else null;
}

const Span = extern struct { at: usize, length: usize };

/// A value as it lies in memory.
fn Memory(comptime kind: Kind, comptime T: type) type {
    return switch (kind) {
        .number => T,
        .option => |item| if (item.isSpan()) Span else extern struct { given: bool, value: @typeInfo(T).optional.child },
        else => Span,
    };
}

/// The two words of a parameter, the second of which is nothing for numbers.
fn First(comptime kind: Kind, comptime T: type) type {
    return if (kind.isSpan()) usize else if (kind == .option) bool else T;
}
fn Second(comptime kind: Kind, comptime T: type) type {
    return if (kind.isSpan()) usize else if (kind == .option) @typeInfo(T).optional.child else u0;
}

fn take(comptime kind: Kind, comptime T: type, first: First(kind, T), second: Second(kind, T)) T {
    if (comptime kind.isSpan()) return read(kind, T, .{ .at = first, .length = second });
    if (kind == .option) return if (first) second else null;
    return first;
}

fn read(comptime kind: Kind, comptime T: type, value: Memory(kind, T)) T {
    switch (kind) {
        .number => return value,
        .text => return slice(u8, value),
        .json => {
            if (Item(T) == u8) return slice(u8, value);
            return std.json.parseFromSliceLeaky(T, host.arena, slice(u8, value), .{}) catch |problem|
                host.fail("the JSON is no {s}: error.{s}", .{ @typeName(T), @errorName(problem) });
        },
        .list => |item| {
            const I = Item(T).?;
            if (item.* == .number) return slice(I, value);
            const made = host.make(I, value.length);
            for (made, slice(Memory(item.*, I), value)) |*into, one| into.* = read(item.*, I, one);
            return made;
        },
        .option => |item| {
            const I = @typeInfo(T).optional.child;
            if (comptime !item.isSpan()) return if (value.given) value.value else null;
            return if (value.at == 0) null else read(item.*, I, value);
        },
    }
}

/// What a span leads to; the address of nothing means nothing.
fn slice(comptime I: type, span: Span) []I {
    return if (span.length == 0) &.{} else @as([*]I, @ptrFromInt(span.at))[0..span.length];
}

fn written(comptime kind: Kind, comptime T: type, value: T) Memory(kind, T) {
    switch (kind) {
        .number => return value,
        .text => return spanOf(u8, value),
        .json => {
            if (Item(T) == u8) return spanOf(u8, value);
            return spanOf(u8, std.json.Stringify.valueAlloc(host.arena, value, .{}) catch host.outOfMemory());
        },
        .list => |item| {
            const I = Item(T).?;
            if (item.* == .number) return spanOf(I, value);
            const made = host.make(Memory(item.*, I), value.len);
            for (made, value) |*into, one| into.* = written(item.*, I, one);
            return spanOf(Memory(item.*, I), made);
        },
        .option => |item| {
            const I = @typeInfo(T).optional.child;
            if (comptime item.isSpan()) return if (value) |found| written(item.*, I, found) else .{ .at = 0, .length = 0 };
            return .{ .given = value != null, .value = value orelse std.mem.zeroes(I) };
        },
    }
}

/// An address is not 0, also where there is nothing: that would be none.
fn spanOf(comptime I: type, items: []const I) Span {
    return .{ .at = if (items.len == 0) 8 else @intFromPtr(items.ptr), .length = items.len };
}

/// The word that a function returns for its results.
fn Word(comptime results: []const Kind, comptime T: type) type {
    if (results.len == 0) return void;
    if (results.len > 1 or (results[0] == .option and !results[0].isSpan())) return usize;
    return if (results[0].isSpan()) u64 else T;
}

fn give(comptime results: []const Kind, comptime T: type, value: T) Word(results, T) {
    if (results.len == 0) return;
    if (results.len > 1) return gather(results, T, value);
    const made = written(results[0], T, value);
    if (@TypeOf(made) == Span) return @as(u64, made.at) << 32 | made.length;
    if (results[0] == .number) return made;
    const stored = host.arena.create(@TypeOf(made)) catch host.outOfMemory();
    stored.* = made;
    return @intFromPtr(stored);
}

/// Put several results one after another, each at its alignment.
fn gather(comptime results: []const Kind, comptime T: type, value: T) usize {
    comptime var size: usize = 0;
    comptime var places: []const usize = &.{};
    const types = @typeInfo(T).@"struct".field_types;
    inline for (results, types) |kind, F| {
        size = comptime std.mem.alignForward(usize, size, @alignOf(Memory(kind, F)));
        places = places ++ .{size};
        size += @sizeOf(Memory(kind, F));
    }
    const made = host.arena.alignedAlloc(u8, .@"8", size) catch host.outOfMemory();
    inline for (results, types, places, @typeInfo(T).@"struct".field_names) |kind, F, place, name| {
        @as(*Memory(kind, F), @ptrCast(@alignCast(made.ptr + place))).* = written(kind, F, @field(value, name));
    }
    return @intFromPtr(made.ptr);
}

const max_parameters = 12;

/// A function as the host calls it: each parameter is two words, which are nothing where the function has no more.
pub fn Exported(comptime signature: []const u8, comptime function: anytype) type {
    const line = parse(signature);
    if (@typeInfo(@TypeOf(function)) != .@"fn") bad(signature, "belongs to no function, but to a " ++ @typeName(@TypeOf(function)));
    const info = @typeInfo(@TypeOf(function)).@"fn";
    if (line.params.len != info.param_types.len) bad(signature, "has another number of parameters than its function");
    if (line.params.len > max_parameters) bad(signature, std.fmt.comptimePrint("has more than {} parameters", .{max_parameters}));
    for (line.params, info.param_types, 1..) |kind, T, number| {
        if (T == null) bad(signature, "belongs to a function whose types depend on its arguments");
        check(signature, std.fmt.comptimePrint("parameter {}", .{number}), kind, T.?);
    }
    const Given = info.return_type.?;
    const Returned = if (@typeInfo(Given) == .error_union) @typeInfo(Given).error_union.payload else Given;
    checkResults(signature, line.results, Returned);

    return struct {
        fn A(comptime index: usize) type {
            return if (index < line.params.len) First(line.params[index], info.param_types[index].?) else u0;
        }
        fn B(comptime index: usize) type {
            return if (index < line.params.len) Second(line.params[index], info.param_types[index].?) else u0;
        }

        // zig fmt: off
        pub fn call(
            a0: A(0), b0: B(0), a1: A(1), b1: B(1), a2: A(2), b2: B(2), a3: A(3), b3: B(3), a4: A(4), b4: B(4), a5: A(5), b5: B(5),
            a6: A(6), b6: B(6), a7: A(7), b7: B(7), a8: A(8), b8: B(8), a9: A(9), b9: B(9), a10: A(10), b10: B(10), a11: A(11), b11: B(11),
        ) callconv(.c) Word(line.results, Returned) {
            const words = .{
                a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7, a8, b8, a9, b9, a10, b10, a11, b11,
            };
            // zig fmt: on
            host.begin();
            var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
            inline for (line.params, info.param_types, 0..) |kind, T, index| {
                arguments[index] = take(kind, T.?, words[2 * index], words[2 * index + 1]);
            }
            const result = @call(.auto, function, arguments);
            if (@typeInfo(Given) != .error_union) return give(line.results, Returned, result);
            return give(line.results, Returned, result catch |problem| host.end(problem));
        }
    };
}

fn checkResults(comptime signature: []const u8, comptime results: []const Kind, comptime T: type) void {
    switch (results.len) {
        0 => if (T != void and T != noreturn) bad(signature, "has no result, and its function returns " ++ @typeName(T)),
        1 => check(signature, "the result", results[0], T),
        else => {
            if (@typeInfo(T) != .@"struct") bad(signature, "has several results; return a tuple or a struct, not " ++ @typeName(T));
            const types = @typeInfo(T).@"struct".field_types;
            if (types.len != results.len) bad(signature, "has another number of results than its function");
            for (results, types, 1..) |kind, F, number| check(signature, std.fmt.comptimePrint("result {}", .{number}), kind, F);
        },
    }
}
