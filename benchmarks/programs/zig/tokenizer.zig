//! Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers.
const std = @import("std");
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

fn records(n: usize) ![]const u8 {
    var made: std.ArrayList(u8) = .empty;
    try made.append(echelon.arena, '[');
    for (0..n) |i| {
        if (i > 0) try made.append(echelon.arena, ',');
        try made.print(
            echelon.arena,
            "{{\"id\": {d}, \"name\": \"item \\\"{d}\\\"\", \"tags\": [\"a\", \"b\"], ",
            .{ i, i % 100 },
        );
        try made.print(
            echelon.arena,
            "\"price\": {d}.5, \"ok\": {}, \"next\": null}}",
            .{ i % 1000, i % 2 == 1 },
        );
    }
    try made.append(echelon.arena, ']');
    return made.items;
}

fn digit(letter: u8) f64 {
    return @floatFromInt(letter - '0');
}

fn run(n: i32) !f64 {
    const isDigit = std.ascii.isDigit;
    const isLetter = std.ascii.isAlphabetic;
    const text = try records(@intCast(n));
    var tokens: u32 = 0;
    var sum: f64 = 0;
    var at: usize = 0;
    while (at < text.len) {
        if (std.ascii.isWhitespace(text[at])) {
            at += 1;
            continue;
        }
        tokens += 1;
        if (text[at] == '"') {
            at += 1;
            while (text[at] != '"') at += if (text[at] == '\\') 2 else 1;
            at += 1;
        } else if (isDigit(text[at])) {
            var number: f64 = 0;
            var place: f64 = 0.1;
            while (isDigit(text[at])) : (at += 1) number = number * 10 + digit(text[at]);
            if (text[at] == '.') {
                at += 1;
                while (isDigit(text[at])) : (at += 1) {
                    number += digit(text[at]) * place;
                    place /= 10;
                }
            }
            sum += number;
        } else if (isLetter(text[at])) {
            while (isLetter(text[at])) at += 1;
        } else {
            at += 1;
        }
    }
    return @as(f64, @floatFromInt(tokens)) + sum;
}
