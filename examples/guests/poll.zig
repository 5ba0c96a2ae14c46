//! A poll over HTTP: POST /tea votes for tea, GET shows the votes as JSON. It needs the permission `kv` for "poll".
const std = @import("std");
const echelon = @import("echelon");
const kv = echelon.kv;

comptime {
    echelon.handler(answer);
}

const Votes = struct { choice: []const u8, votes: u64 };

fn answer(request: echelon.Request) !echelon.Response {
    if (request.is("GET")) return .json(try votes());
    const choice = std.mem.trim(u8, request.path, "/");
    if (!request.is("POST") or choice.len == 0) {
        return .{ .status = 405, .body = "vote with POST /tea\n", .headers = .of(.{.{ "allow", "GET, POST" }}) };
    }
    var vote: kv.Atomic = .{};
    vote.sum(.{ "poll", choice }, 1);
    _ = vote.commit();
    echelon.log.info("a vote for {s}", .{choice});
    return .{ .status = 201, .body = echelon.format("you voted for {s}\n", .{choice}) };
}

fn votes() ![]const Votes {
    var found: std.ArrayList(Votes) = .empty;
    for (kv.list(.{ .prefix = kv.key(.{"poll"}) }).entries) |entry| {
        try found.append(echelon.arena, .{ .choice = entry.key[1].text, .votes = entry.number() orelse 0 });
    }
    return found.items;
}
