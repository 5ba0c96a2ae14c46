//! Values of JSON: read, looked into, made, and written.

use std::fmt;

/// Any value that JSON can say. A whole number is an `Int`, which is an `i64`; other numbers are floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

const DEEPEST: usize = 100;

macro_rules! from {
    ($($type:ty => $variant:ident;)*) => {$(
        impl From<$type> for Json {
            fn from(value: $type) -> Json {
                Json::$variant(value.into())
            }
        }
    )*};
}
from! { bool => Bool; i64 => Int; i32 => Int; u32 => Int; f64 => Float; f32 => Float; &str => Text; String => Text; }

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Json {
        Json::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

impl Json {
    /// An object without members; `with` adds them.
    pub fn object() -> Json {
        Json::Object(Vec::new())
    }

    /// Set a member of an object.
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Json {
        if let Json::Object(members) = &mut self {
            members.retain(|(found, _)| found != name);
            members.push((name.into(), value.into()));
        }
        self
    }

    /// A member of an object, `Null` when there is none.
    pub fn get(&self, name: &str) -> &Json {
        self.members().iter().rev().find(|(found, _)| found == name).map_or(&Json::Null, |(_, value)| value)
    }

    /// An item of a list, `Null` when there is none.
    pub fn at(&self, index: usize) -> &Json {
        self.items().get(index).unwrap_or(&Json::Null)
    }

    /// The items of a list; nothing else has any.
    pub fn items(&self) -> &[Json] {
        if let Json::List(items) = self { items } else { &[] }
    }

    /// The members of an object; nothing else has any.
    pub fn members(&self) -> &[(String, Json)] {
        if let Json::Object(members) = self { members } else { &[] }
    }

    pub fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }

    pub fn bool(&self) -> Option<bool> {
        if let Json::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is a whole one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Json::Int(number) => Some(*number),
            Json::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Int(number) => Some(*number as f64),
            Json::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Read a text; an error says what is wrong, and at which byte.
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.space();
        if parser.at < text.len() { parser.wrong("something follows the value") } else { Ok(value) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {} of the JSON", self.at))
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        if !self.text[self.at..].starts_with(word) {
            return self.wrong("no value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEEPEST {
            return self.wrong("too many levels");
        }
        self.space();
        match self.peek() {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'"' => Ok(Json::Text(self.string()?)),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    /// Tell whether another item follows, and step over the sign that says so.
    fn more(&mut self, first: bool, end: u8) -> Result<bool, String> {
        self.space();
        let found = self.peek();
        if found == end {
            self.at += 1;
            return Ok(false);
        }
        if !first {
            if found != b',' {
                return self.wrong("no comma");
            }
            self.at += 1;
            self.space();
        }
        Ok(true)
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        let mut items = Vec::new();
        self.at += 1;
        while self.more(items.is_empty(), b']')? {
            items.push(self.value(depth + 1)?);
        }
        Ok(Json::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut members = Vec::new();
        self.at += 1;
        while self.more(members.is_empty(), b'}')? {
            if self.peek() != b'"' {
                return self.wrong("no name");
            }
            let name = self.string()?;
            self.space();
            if self.peek() != b':' {
                return self.wrong("no colon");
            }
            self.at += 1;
            members.push((name, self.value(depth + 1)?));
        }
        Ok(Json::Object(members))
    }

    fn number(&mut self) -> Result<Json, String> {
        let begin = self.at;
        while matches!(self.peek(), b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
            self.at += 1;
        }
        let text = &self.text[begin..self.at];
        if let Ok(number) = text.parse() {
            return Ok(Json::Int(number));
        }
        text.parse().map(Json::Float).or_else(|_| self.wrong("no value"))
    }

    fn string(&mut self) -> Result<String, String> {
        let mut made = String::new();
        self.at += 1;
        loop {
            let begin = self.at;
            while !matches!(self.peek(), b'"' | b'\\' | 0..=31) {
                self.at += 1;
            }
            made.push_str(&self.text[begin..self.at]);
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(made);
                }
                b'\\' => made.push(self.escape()?),
                _ => return self.wrong("a text that does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        self.at += 2;
        Ok(match self.text.as_bytes().get(self.at - 1) {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => return self.unit(),
            Some(other @ (b'"' | b'\\' | b'/')) => *other as char,
            _ => return self.wrong("no such escape"),
        })
    }

    fn unit(&mut self) -> Result<char, String> {
        let high = self.digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).map_or_else(|| self.wrong("half of a surrogate pair"), Ok);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return self.wrong("half of a surrogate pair");
        }
        self.at += 2;
        let low = self.digits()?;
        let code = 0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
        char::from_u32(code).filter(|_| (0xdc00..0xe000).contains(&low)).map_or_else(|| self.wrong("half of a surrogate pair"), Ok)
    }

    fn digits(&mut self) -> Result<u32, String> {
        let found = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        match found.and_then(|text| u32::from_str_radix(text, 16).ok()) {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.wrong("no such escape"),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, into: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Json::Null => into.write_str("null"),
            Json::Bool(value) => write!(into, "{value}"),
            Json::Int(number) => write!(into, "{number}"),
            // A number that JSON does not know is none.
            Json::Float(number) if number.is_finite() => write!(into, "{number:?}"),
            Json::Float(_) => into.write_str("null"),
            Json::Text(text) => quoted(text, into),
            Json::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(into, "{}{item}", if index == 0 { "[" } else { "," })?;
                }
                into.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Json::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    into.write_str(if index == 0 { "{" } else { "," })?;
                    quoted(name, into)?;
                    write!(into, ":{value}")?;
                }
                into.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

fn quoted(text: &str, into: &mut fmt::Formatter) -> fmt::Result {
    into.write_str("\"")?;
    for part in text.split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\') {
        let mut rest = part.chars();
        match rest.next_back() {
            Some(last) if last < ' ' => write!(into, "{}\\u{:04x}", rest.as_str(), last as u32)?,
            Some(last @ ('"' | '\\')) => write!(into, "{}\\{last}", rest.as_str())?,
            _ => into.write_str(part)?,
        }
    }
    into.write_str("\"")
}
