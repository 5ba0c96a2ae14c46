const std = @import("std");
const echelon = @import("echelon");

comptime {
    echelon.exports("shout(text: str, times: u32) -> str", shout);
}

fn shout(text: []const u8, times: u32) []const u8 {
    const loud = std.ascii.allocUpperString(echelon.arena, text) catch echelon.fail("there is no room for {d} bytes", .{text.len});
    echelon.log.info("{d} bytes", .{loud.len});
    return echelon.format("{s}, {d} times!", .{ loud, times });
}
