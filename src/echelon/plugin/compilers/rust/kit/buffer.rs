//! Buffers as the host reads and writes them: numbers of four bytes, and contents after their length.

/// What is sent.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn number(&mut self, number: usize) -> &mut Self {
        self.0.extend_from_slice(&(number as u32).to_le_bytes());
        self
    }

    pub fn raw(&mut self, content: &[u8]) -> &mut Self {
        self.0.extend_from_slice(content);
        self
    }

    pub fn content(&mut self, content: &[u8]) -> &mut Self {
        self.number(content.len()).raw(content)
    }

    pub fn pairs(&mut self, pairs: &[(String, String)]) -> &mut Self {
        self.number(pairs.len());
        for (name, value) in pairs {
            self.content(name.as_bytes()).content(value.as_bytes());
        }
        self
    }
}

/// What has come; a call ends when it is too short.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn raw(&mut self, length: usize) -> &'a [u8] {
        if length > self.0.len() {
            crate::fail("a buffer of the host ends too early");
        }
        let (found, rest) = self.0.split_at(length);
        self.0 = rest;
        found
    }

    pub fn number(&mut self) -> usize {
        u32::from_le_bytes(self.raw(4).try_into().unwrap_or_default()) as usize
    }

    pub fn eight(&mut self) -> [u8; 8] {
        self.raw(8).try_into().unwrap_or_default()
    }

    pub fn content(&mut self) -> &'a [u8] {
        let length = self.number();
        self.raw(length)
    }

    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.content()).into_owned()
    }

    pub fn pairs(&mut self) -> Vec<(String, String)> {
        (0..self.number()).map(|_| (self.text(), self.text())).collect()
    }
}
