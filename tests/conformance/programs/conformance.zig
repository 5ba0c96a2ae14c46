//! The conformance program in Zig; what it has to answer stands in test_conformance.py.
const std = @import("std");
const echelon = @import("echelon");
const kv = echelon.kv;

comptime {
    for (.{ "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }, .{ i8, u8, i16, u16, i32, u32, i64, u64, f32, f64 }) |name, T| {
        echelon.exports("echo_" ++ name ++ "(n: " ++ name ++ ") -> " ++ name, Echo(T).echo);
    }
    echelon.exports("negate(on: bool) -> bool", negate);
    echelon.exports("divide(a: i32, b: i32) -> i32", divide);
    echelon.exports("greet(who: str) -> str", greet);
    echelon.exports("characters(text: str) -> u32", characters);
    echelon.exports("reverse(data: bytes) -> bytes", reverse);
    echelon.exports("sorted(numbers: list<i32>) -> list<i32>", sorted);
    echelon.exports("total(numbers: list<f64>) -> f64", total);
    echelon.exports("join(words: list<str>, by: str) -> str", join);
    echelon.exports("split(text: str, by: str) -> list<str>", split);
    echelon.exports("first(text: option<str>) -> option<str>", first);
    echelon.exports("half(n: option<f64>) -> option<f64>", half);
    echelon.exports("wrap(value: json) -> json", wrap);
    echelon.exports("checksum(data: bytes) -> u32", checksum);
    echelon.exports("repeat(text: str, times: u32) -> str", repeat);
    echelon.exports("refuse(why: str)", refuse);
    echelon.exports("spin()", spin);
    echelon.exports("count_up() -> i32", countUp);
    echelon.exports("variable(name: str) -> option<str>", echelon.env);
    echelon.exports("note(text: str)", note);
    echelon.exports("store(name: str, value: str)", store);
    echelon.exports("load(name: str) -> option<str>", load);
    echelon.exports("forget(name: str)", forget);
    echelon.exports("tally(name: str, n: u32) -> u64", tally);
    echelon.exports("claim(name: str, value: str) -> bool", claim);
    echelon.exports("names(limit: u32, cursor: str) -> list<str>", names);
    echelon.exports("parts(name: str) -> str", parts);
    echelon.exports("ask(url: str) -> str", ask);
    echelon.exports("price(article: str) -> u32", price);
    echelon.handler(answer);
}

fn Echo(comptime T: type) type {
    return struct {
        fn echo(n: T) T {
            return n;
        }
    };
}

fn negate(on: bool) bool {
    return !on;
}

fn divide(a: i32, b: i32) i32 {
    return @divTrunc(a, b);
}

fn greet(who: []const u8) []const u8 {
    return echelon.format("Hello, {s}!", .{who});
}

fn characters(text: []const u8) !u32 {
    return @intCast(try std.unicode.utf8CountCodepoints(text));
}

fn reverse(data: []u8) []const u8 {
    std.mem.reverse(u8, data);
    return data;
}

fn sorted(numbers: []i32) []const i32 {
    std.mem.sort(i32, numbers, {}, std.sort.asc(i32));
    return numbers;
}

fn total(numbers: []const f64) f64 {
    var sum: f64 = 0;
    for (numbers) |number| sum += number;
    return sum;
}

fn join(words: []const []const u8, by: []const u8) ![]const u8 {
    return std.mem.join(echelon.arena, by, words);
}

fn split(text: []const u8, by: []const u8) ![]const []const u8 {
    var found: std.ArrayList([]const u8) = .empty;
    var rest = std.mem.splitSequence(u8, text, by);
    while (rest.next()) |part| try found.append(echelon.arena, part);
    return found.items;
}

fn first(text: ?[]const u8) ?[]const u8 {
    const given = text orelse return null;
    return given[0..@min(given.len, 1)];
}

fn half(n: ?f64) ?f64 {
    return (n orelse return null) / 2;
}

const Wrapped = struct { value: std.json.Value, ok: bool };

fn wrap(value: std.json.Value) Wrapped {
    return .{ .value = value, .ok = true };
}

fn checksum(data: []const u8) u32 {
    var sum: u32 = 0;
    for (data) |byte| sum +%= byte;
    return sum;
}

fn repeat(text: []const u8, times: u32) ![]const u8 {
    const made = try echelon.arena.alloc(u8, text.len * times);
    for (0..times) |index| @memcpy(made[index * text.len ..][0..text.len], text);
    return made;
}

fn refuse(why: []const u8) void {
    echelon.fail("{s}", .{why});
}

fn spin() void {
    var on = true;
    while (@as(*volatile bool, &on).*) {}
}

var calls: i32 = 0;

fn countUp() i32 {
    calls += 1;
    return calls;
}

fn note(text: []const u8) void {
    echelon.log.info("{s}", .{text});
}

fn store(name: []const u8, value: []const u8) void {
    _ = kv.set(.{ "conformance", name }, value);
}

fn load(name: []const u8) ?[]const u8 {
    return (kv.get(.{ "conformance", name }) orelse return null).text();
}

fn forget(name: []const u8) void {
    kv.delete(.{ "conformance", name });
}

fn tally(name: []const u8, n: u32) u64 {
    var change: kv.Atomic = .{};
    change.sum(.{ "conformance", "tally", name }, n);
    _ = change.commit();
    return kv.get(.{ "conformance", "tally", name }).?.number().?;
}

fn claim(name: []const u8, value: []const u8) bool {
    var change: kv.Atomic = .{};
    change.check(.{ "conformance", name }, null);
    change.set(.{ "conformance", name }, value);
    return change.commit() != null;
}

fn names(limit: u32, cursor: []const u8) ![]const []const u8 {
    const page = kv.list(.{ .prefix = kv.key(.{ "conformance", "page" }), .limit = limit, .cursor = cursor });
    var found: std.ArrayList([]const u8) = .empty;
    for (page.entries) |entry| try found.append(echelon.arena, entry.key[2].text);
    try found.append(echelon.arena, page.cursor);
    return found.items;
}

fn parts(name: []const u8) []const u8 {
    _ = kv.set(.{ "conformance", name, -7, 0.5, true, kv.bytes("\x00\xff") }, "found");
    const entry = kv.list(.{ .prefix = kv.key(.{ "conformance", name }) }).entries[0];
    const key = entry.key;
    return echelon.format("{} {} {} {} {s}", .{ key[2].int, key[3].float, key[4].bool, key[5].bytes.len, entry.text().? });
}

fn ask(url: []const u8) []const u8 {
    const found = echelon.fetch(.{ .url = url });
    return echelon.format("{} {s}", .{ found.status, found.body });
}

fn price(article: []const u8) u32 {
    return shop.price(article.ptr, article.len);
}

const shop = struct {
    extern "shop" fn price(article: [*]const u8, length: usize) u32;
};

fn answer(request: echelon.Request) echelon.Response {
    return .{
        .status = 201,
        .body = echelon.format("{s} {s} {s} {s}", .{ request.method, request.path, request.query, request.body }),
        .headers = .of(.{.{ "x-heard", request.headers.get("x-say") orelse "nothing" }}),
    };
}
