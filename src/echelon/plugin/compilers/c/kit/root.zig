//! The root of every guest in Zig: panics and `std.log` reach the host, and the guest's exports count.
const std = @import("std");
const echelon = @import("echelon");
const guest = @import("guest");

pub const panic = std.debug.FullPanic(echelon.panic);
pub const std_options: std.Options = if (@hasDecl(guest, "std_options")) guest.std_options else .{
    .logFn = echelon.log.standard,
};

comptime {
    _ = guest;
    _ = echelon.exports;
}
