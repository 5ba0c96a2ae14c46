//! Whole files, where the call's permissions reach.

use crate::host;

/// The content of a file, or None when there is none at this path.
pub fn read(path: &str) -> Option<Vec<u8>> {
    host::taken(unsafe { host::read_file(path.as_ptr(), path.len()) })
}

/// The same of a file that is text.
pub fn read_text(path: &str) -> Option<String> {
    read(path).map(host::text)
}

/// Replace a file.
pub fn write(path: &str, content: impl AsRef<[u8]>) {
    let content = content.as_ref();
    unsafe { host::write_file(path.as_ptr(), path.len(), content.as_ptr(), content.len()) };
}
