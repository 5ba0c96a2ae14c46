//! Answering HTTP, and asking others (docs/abi.md).
const std = @import("std");
const host = @import("host.zig");

const version = 1;

pub const Header = struct { name: []const u8, value: []const u8 };

/// Names and values in order; a name may stand more than once. They lie in the arena of the call.
pub const Headers = struct {
    all: []const Header = &.{},

    /// Headers of a tuple of pairs: `.of(.{ .{ "allow", "GET" }, .{ "x-count", count } })`.
    pub fn of(pairs: anytype) Headers {
        const all = host.make(Header, pairs.len);
        inline for (pairs, 0..) |pair, index| all[index] = .{ .name = pair[0], .value = pair[1] };
        return .{ .all = all };
    }

    /// These headers with one more.
    pub fn with(headers: Headers, name: []const u8, value: []const u8) Headers {
        const all = host.make(Header, headers.all.len + 1);
        @memcpy(all[0..headers.all.len], headers.all);
        all[headers.all.len] = .{ .name = name, .value = value };
        return .{ .all = all };
    }

    /// The first value of a name, in any case of letters.
    pub fn get(headers: Headers, name: []const u8) ?[]const u8 {
        for (headers.all) |header| if (std.ascii.eqlIgnoreCase(header.name, name)) return header.value;
        return null;
    }

    fn read(from: *host.Reader) Headers {
        const all = host.make(Header, from.number());
        for (all) |*header| header.* = .{ .name = from.text(), .value = from.text() };
        return .{ .all = all };
    }

    fn write(headers: Headers, into: *host.Writer) void {
        into.number(headers.all.len);
        for (headers.all) |header| {
            into.text(header.name);
            into.text(header.value);
        }
    }
};

fn requireVersion(from: *host.Reader) void {
    if (from.number() != version) host.fail("this guest speaks version {} of the HTTP ABI", .{version});
}

/// A request to this guest; `path` is relative to where it is mounted, `query` is as it was sent.
pub const Request = struct {
    method: []const u8,
    path: []const u8,
    query: []const u8,
    headers: Headers,
    body: []const u8,

    pub fn is(request: Request, method: []const u8) bool {
        return std.mem.eql(u8, request.method, method);
    }

    pub fn read(raw: []const u8) Request {
        var from: host.Reader = .{ .left = raw };
        requireVersion(&from);
        return .{
            .method = from.text(),
            .path = from.text(),
            .query = from.text(),
            .headers = .read(&from),
            .body = from.text(),
        };
    }
};

pub const Response = struct {
    body: []const u8 = "",
    status: u16 = 200,
    type: []const u8 = "text/plain; charset=utf-8",
    /// Besides the content type.
    headers: Headers = .{},

    /// A value that std.json knows, as JSON.
    pub fn json(value: anytype) Response {
        const text = std.json.Stringify.valueAlloc(host.arena, value, .{}) catch host.outOfMemory();
        return .{ .body = text, .type = "application/json" };
    }

    pub fn written(response: Response) []const u8 {
        var into: host.Writer = .{};
        into.number(version);
        into.number(response.status);
        response.headers.with("content-type", response.type).write(&into);
        into.text(response.body);
        return into.made.items;
    }
};

/// A request of this guest. Redirects are followed, at most 5 of them.
pub const Asking = struct {
    url: []const u8,
    method: []const u8 = "GET",
    headers: Headers = .{},
    body: []const u8 = "",
    follow: bool = true,
};

/// What it brought: where it ended, and with what. A status of 0 means that there was no answer; `body` then says why.
pub const Answer = struct {
    status: u16,
    url: []const u8,
    headers: Headers,
    body: []const u8,

    pub fn ok(answer: Answer) bool {
        return answer.status >= 200 and answer.status < 300;
    }
};

/// Ask; a host that is not granted ends the call.
pub fn fetch(asking: Asking) Answer {
    var into: host.Writer = .{};
    into.number(version);
    into.text(asking.method);
    into.text(asking.url);
    into.number(@intFromBool(!asking.follow));
    asking.headers.write(&into);
    into.text(asking.body);
    var from: host.Reader = .{ .left = into.call(host.fetch) orelse "" };
    requireVersion(&from);
    return .{
        .status = @intCast(from.number()),
        .url = from.text(),
        .headers = .read(&from),
        .body = from.text(),
    };
}
