//! Signatures in one line of text, put together by the compiler.

/// A piece of a signature, put together while the guest is compiled.
#[derive(Clone, Copy)]
pub struct Line {
    text: [u8; Line::MOST],
    used: usize,
}

impl Line {
    const MOST: usize = 1024;

    pub const fn new(text: &str) -> Line {
        Line { text: [0; Line::MOST], used: 0 }.with(text)
    }

    pub const fn with(mut self, text: &str) -> Line {
        let (bytes, mut at) = (text.as_bytes(), 0);
        while at < bytes.len() {
            self.text[self.used] = bytes[at];
            self.used += 1;
            at += 1;
        }
        self
    }

    pub const fn join(mut self, other: Line) -> Line {
        let mut at = 0;
        while at < other.used {
            self.text[self.used] = other.text[at];
            self.used += 1;
            at += 1;
        }
        self
    }

    pub const fn parameter(self, name: &str, kind: Line) -> Line {
        let next = if self.text[self.used - 1] == b'(' { self } else { self.with(", ") };
        next.with(name).with(": ").join(kind)
    }

    pub const fn length(&self) -> usize {
        self.used
    }

    pub const fn bytes<const N: usize>(&self) -> [u8; N] {
        let (mut made, mut at) = ([0; N], 0);
        while at < N {
            made[at] = self.text[at];
            at += 1;
        }
        made
    }
}
