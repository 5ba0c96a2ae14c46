//! What a guest in Zig uses of its host (docs/zig.md):
//!
//!     const echelon = @import("echelon");
//!
//!     comptime {
//!         echelon.exports("greet(who: str) -> str", greet);
//!     }
//!     fn greet(who: []const u8) []const u8 {
//!         return echelon.format("Hello, {s}!", .{who});
//!     }
//!
//! What a call is given, and what the kit makes, lies in `arena` and stays until the next call of the instance begins:
//! that is long enough for a result. What shall stay longer is a copy in `allocator`.
const std = @import("std");
const host = @import("echelon/host.zig");
const http = @import("echelon/http.zig");
const values = @import("echelon/values.zig");

pub const kv = @import("echelon/kv.zig");

pub const Header = http.Header;
pub const Headers = http.Headers;
pub const Request = http.Request;
pub const Response = http.Response;
pub const Asking = http.Asking;
pub const Answer = http.Answer;
pub const fetch = http.fetch;

/// Memory until the instance ends, or is given back.
pub const allocator = host.allocator;

/// Memory until the next call begins; nothing has to be given back.
pub const arena = host.arena;

pub const fail = host.fail;
pub const format = host.format;

/// Export a function under its signature (docs/abi.md), with which its types have to agree:
///
///     number, bool           themselves
///     str, bytes             []const u8
///     list<T>, option<T>     []const T, ?T
///     json                   []const u8, which is its text, or any type that std.json knows
///     several results        a tuple or a struct
///
/// A result may be an error union: an error ends the call, and its name is the message.
pub fn exports(comptime signature: []const u8, comptime function: anytype) void {
    @export(&values.Exported(signature, function).call, .{ .name = signature });
}

/// Answer HTTP with a function that takes a Request and returns a Response.
pub fn handler(comptime answer: anytype) void {
    exports("handle(request: bytes) -> bytes", struct {
        fn handle(raw: []const u8) []const u8 {
            const given = answer(Request.read(raw));
            return if (@typeInfo(@TypeOf(given)) == .error_union)
                (given catch |problem| host.end(problem)).written()
            else
                given.written();
        }
    }.handle);
}

/// What becomes part of the outcome of a call; `std.log` writes there, too.
pub const log = struct {
    pub fn debug(comptime text: []const u8, arguments: anytype) void {
        host.say(0, format(text, arguments));
    }
    pub fn info(comptime text: []const u8, arguments: anytype) void {
        host.say(1, format(text, arguments));
    }
    pub fn warning(comptime text: []const u8, arguments: anytype) void {
        host.say(2, format(text, arguments));
    }
    pub fn @"error"(comptime text: []const u8, arguments: anytype) void {
        host.say(3, format(text, arguments));
    }

    pub fn standard(
        comptime level: std.log.Level,
        comptime scope: @EnumLiteral(),
        comptime text: []const u8,
        arguments: anytype,
    ) void {
        const prefix = if (scope == .default) "" else "(" ++ @tagName(scope) ++ ") ";
        host.say(switch (level) {
            .debug => 0,
            .info => 1,
            .warn => 2,
            .err => 3,
        }, format(prefix ++ text, arguments));
    }
};

/// The value of a variable, null when it is not set.
pub fn env(name: []const u8) ?[]const u8 {
    return host.taken(host.env_get(name.ptr, name.len));
}

/// The content of a file, null when there is no such file.
pub fn readFile(path: []const u8) ?[]const u8 {
    return host.taken(host.read_file(path.ptr, path.len));
}

/// Replace a file.
pub fn writeFile(path: []const u8, content: []const u8) void {
    _ = host.write_file(path.ptr, path.len, content.ptr, content.len);
}

pub fn panic(message: []const u8, _: ?usize) noreturn {
    host.stop(message);
}
