//! The functions of the host, and how their answers are fetched.

#[link(wasm_import_module = "echelon")]
extern "C" {
    pub fn abort(text: *const u8, length: usize, file: *const u8, size: usize, line: u32, column: u32);
    pub fn log(level: i32, text: *const u8, length: usize);
    pub fn env_get(name: *const u8, length: usize) -> i32;
    pub fn read_file(path: *const u8, length: usize) -> i32;
    pub fn write_file(path: *const u8, length: usize, content: *const u8, size: usize) -> i32;
    pub fn take(into: *mut u8);
    pub fn kv_get(key: *const u8, length: usize) -> i32;
    pub fn kv_set(key: *const u8, length: usize, kind: u32, value: *const u8, size: usize, expire: i64) -> i32;
    pub fn kv_delete(key: *const u8, length: usize);
    pub fn kv_list(request: *const u8, length: usize) -> i32;
    pub fn kv_atomic(commit: *const u8, length: usize) -> i32;
    pub fn fetch(request: *const u8, length: usize) -> i32;
}

/// What the last function has found; a negative length says that it found nothing.
pub fn taken(length: i32) -> Option<Vec<u8>> {
    let size = usize::try_from(length).ok()?;
    let mut found = vec![0; size];
    unsafe { take(found.as_mut_ptr()) };
    Some(found)
}

pub fn text(content: Vec<u8>) -> String {
    String::from_utf8(content).unwrap_or_else(|_| crate::fail("a text of the host is not UTF-8"))
}
