//! The key-value store, where keys are granted: `kv::set(("visits", path), 1_u64)`.

use crate::buffer::{Reader, Writer};
use crate::{host, Json};

/// A part of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Bytes(Vec<u8>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// The digits of a whole number that no `i64` holds.
    Large(String),
}

/// A key is a tuple of parts, one part alone, or a list of parts.
pub type Key = Vec<Part>;

/// A value of the store. `sum`, `min` and `max` work on numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bytes(Vec<u8>),
    Text(String),
    Json(Json),
    Number(u64),
}

/// What lies under a key; the versionstamp changes with every change.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub value: Value,
    pub versionstamp: String,
}

macro_rules! from {
    ($($type:ty => $kind:ident::$variant:ident;)*) => {$(
        impl From<$type> for $kind {
            fn from(value: $type) -> $kind {
                $kind::$variant(value.into())
            }
        }
    )*};
}
from! {
    &str => Part::Text; String => Part::Text; &String => Part::Text; &[u8] => Part::Bytes; Vec<u8> => Part::Bytes;
    i64 => Part::Int; i32 => Part::Int; u32 => Part::Int; f64 => Part::Float; bool => Part::Bool;
    &str => Value::Text; String => Value::Text; &[u8] => Value::Bytes; Vec<u8> => Value::Bytes; Json => Value::Json;
    u64 => Value::Number; u32 => Value::Number;
}

/// What can be a key.
pub trait IntoKey {
    fn into_key(self) -> Key;
}

impl<P: Into<Part>> IntoKey for P {
    fn into_key(self) -> Key {
        vec![self.into()]
    }
}

impl IntoKey for Key {
    fn into_key(self) -> Key {
        self
    }
}

impl IntoKey for &Key {
    fn into_key(self) -> Key {
        self.clone()
    }
}

macro_rules! key {
    ($($part:ident)+) => {
        impl<$($part: Into<Part>),+> IntoKey for ($($part,)+) {
            #[allow(non_snake_case)]
            fn into_key(self) -> Key {
                let ($($part,)+) = self;
                vec![$($part.into()),+]
            }
        }
    };
}
key!(A);
key!(A B);
key!(A B C);
key!(A B C D);
key!(A B C D E);

fn encoded(key: impl IntoKey) -> Vec<u8> {
    let (parts, mut into) = (key.into_key(), Writer::default());
    into.number(parts.len());
    for part in &parts {
        match part {
            Part::Bytes(content) => into.number(1).content(content),
            Part::Text(text) => into.number(2).content(text.as_bytes()),
            Part::Int(number) => into.number(3).raw(&number.to_le_bytes()),
            Part::Float(number) => into.number(4).raw(&number.to_le_bytes()),
            Part::Bool(value) => into.number(5).number((*value).into()),
            Part::Large(digits) => into.number(6).content(digits.as_bytes()),
        };
    }
    into.0
}

fn decoded(from: &mut Reader) -> Key {
    (0..from.number())
        .map(|_| match from.number() {
            1 => Part::Bytes(from.content().to_vec()),
            2 => Part::Text(from.text()),
            3 => Part::Int(i64::from_le_bytes(from.eight())),
            4 => Part::Float(f64::from_le_bytes(from.eight())),
            5 => Part::Bool(from.number() != 0),
            _ => Part::Large(from.text()),
        })
        .collect()
}

impl Value {
    fn encoded(&self) -> (u32, Vec<u8>) {
        match self {
            Value::Bytes(content) => (0, content.clone()),
            Value::Text(text) => (1, text.clone().into_bytes()),
            Value::Json(value) => (2, value.to_string().into_bytes()),
            Value::Number(number) => (3, number.to_le_bytes().to_vec()),
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes, if it is some.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(content) = self { Some(content) } else { None }
    }

    /// The number, if it is one that `sum` works on, or a whole one of JSON.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Json(value) => value.integer().and_then(|number| number.try_into().ok()),
            _ => None,
        }
    }

    /// The value of JSON, if it is one.
    pub fn json(&self) -> Option<&Json> {
        if let Value::Json(value) = self { Some(value) } else { None }
    }
}

impl Entry {
    fn read(from: &mut Reader) -> Entry {
        let (versionstamp, kind, content) = (from.text(), from.number(), from.content().to_vec());
        let value = match kind {
            0 => Value::Bytes(content),
            1 => Value::Text(host::text(content)),
            2 => Value::Json(Json::parse(&host::text(content)).unwrap_or_else(|error| crate::fail(error))),
            _ => Value::Number(u64::from_le_bytes(content.try_into().unwrap_or_default())),
        };
        Entry { value, versionstamp }
    }
}

pub fn get(key: impl IntoKey) -> Option<Entry> {
    let key = encoded(key);
    let found = host::taken(unsafe { host::kv_get(key.as_ptr(), key.len()) })?;
    Some(Entry::read(&mut Reader(&found)))
}

/// Store a value; gives its versionstamp.
pub fn set(key: impl IntoKey, value: impl Into<Value>) -> String {
    set_for(key, value, 0)
}

/// Store a value for so many milliseconds, 0 for ever.
pub fn set_for(key: impl IntoKey, value: impl Into<Value>, milliseconds: i64) -> String {
    let (key, (kind, value)) = (encoded(key), value.into().encoded());
    let size = unsafe { host::kv_set(key.as_ptr(), key.len(), kind, value.as_ptr(), value.len(), milliseconds) };
    host::text(host::taken(size).unwrap_or_default())
}

pub fn delete(key: impl IntoKey) {
    let key = encoded(key);
    unsafe { host::kv_delete(key.as_ptr(), key.len()) }
}

/// Entries below a prefix: `List::of("visits").limit(10).read()`.
pub struct List {
    prefix: Vec<u8>,
    start: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
    limit: usize,
    reverse: bool,
    cursor: String,
}

impl List {
    pub fn of(prefix: impl IntoKey) -> List {
        List { prefix: encoded(prefix), start: None, end: None, limit: 100, reverse: false, cursor: String::new() }
    }

    /// From this key on.
    pub fn start(mut self, key: impl IntoKey) -> List {
        self.start = Some(encoded(key));
        self
    }

    /// Up to this key, without it.
    pub fn end(mut self, key: impl IntoKey) -> List {
        self.end = Some(encoded(key));
        self
    }

    /// At most so many at once, 1000 at most.
    pub fn limit(mut self, limit: usize) -> List {
        self.limit = limit;
        self
    }

    /// From the last to the first.
    pub fn reverse(mut self) -> List {
        self.reverse = true;
        self
    }

    /// Go on behind what was read before.
    pub fn after(mut self, cursor: &str) -> List {
        self.cursor = cursor.into();
        self
    }

    /// The entries, and a cursor for `after`, empty at the end.
    pub fn page(&self) -> (Vec<(Key, Entry)>, String) {
        let mut into = Writer::default();
        into.raw(&self.prefix);
        for bound in [&self.start, &self.end] {
            match bound {
                Some(key) => into.number(1).raw(key),
                None => into.number(0),
            };
        }
        into.number(self.limit).number(self.reverse.into()).content(self.cursor.as_bytes());
        let answer = host::taken(unsafe { host::kv_list(into.0.as_ptr(), into.0.len()) }).unwrap_or_default();
        let mut from = Reader(&answer);
        let found = (0..from.number()).map(|_| (decoded(&mut from), Entry::read(&mut from))).collect();
        (found, from.text())
    }

    /// The entries.
    pub fn read(&self) -> Vec<(Key, Entry)> {
        self.page().0
    }
}

/// Several changes at once, if every check holds: `Atomic::new().check(key, &entry.versionstamp).set(key, 2_u64).commit()`.
#[derive(Default)]
pub struct Atomic {
    checks: Vec<Vec<u8>>,
    actions: Vec<Vec<u8>>,
}

impl Atomic {
    pub fn new() -> Atomic {
        Atomic::default()
    }

    /// Require this versionstamp; an empty one requires that there is no entry.
    pub fn check(mut self, key: impl IntoKey, versionstamp: &str) -> Atomic {
        let mut into = Writer(encoded(key));
        into.content(versionstamp.as_bytes());
        self.checks.push(into.0);
        self
    }

    pub fn set(self, key: impl IntoKey, value: impl Into<Value>) -> Atomic {
        self.set_for(key, value, 0)
    }

    pub fn set_for(mut self, key: impl IntoKey, value: impl Into<Value>, milliseconds: i64) -> Atomic {
        let ((kind, value), mut into) = (value.into().encoded(), Writer::default());
        into.number(1).raw(&encoded(key)).raw(&milliseconds.to_le_bytes()).number(kind as usize).content(&value);
        self.actions.push(into.0);
        self
    }

    pub fn delete(mut self, key: impl IntoKey) -> Atomic {
        let mut into = Writer::default();
        into.number(2).raw(&encoded(key));
        self.actions.push(into.0);
        self
    }

    pub fn sum(self, key: impl IntoKey, number: u64) -> Atomic {
        self.compute(3, key, number)
    }

    pub fn min(self, key: impl IntoKey, number: u64) -> Atomic {
        self.compute(4, key, number)
    }

    pub fn max(self, key: impl IntoKey, number: u64) -> Atomic {
        self.compute(5, key, number)
    }

    fn compute(mut self, action: usize, key: impl IntoKey, number: u64) -> Atomic {
        let mut into = Writer::default();
        into.number(action).raw(&encoded(key)).raw(&number.to_le_bytes());
        self.actions.push(into.0);
        self
    }

    /// Change everything; gives the versionstamp, or None when a check failed and nothing has changed.
    pub fn commit(&self) -> Option<String> {
        let mut into = Writer::default();
        for group in [&self.checks, &self.actions] {
            into.number(group.len());
            for item in group {
                into.raw(item);
            }
        }
        host::taken(unsafe { host::kv_atomic(into.0.as_ptr(), into.0.len()) }).map(host::text)
    }
}
