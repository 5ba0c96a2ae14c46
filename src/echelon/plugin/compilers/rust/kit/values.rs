//! How values cross: the ABI `linear` of docs/abi.md, for the types that `export!` knows.

use std::any::Any;
use std::fmt::Display;
use std::mem::{align_of, size_of};
use std::slice;
use std::sync::Once;

pub use crate::line::Line;
use crate::{Json, Request, Response};

/// A value as a parameter of one word or two, as it lies in memory, and as the only result.
pub trait Value: Sized {
    const NAME: Line;
    const LIST: Line = Line::new("list<").join(Self::NAME).with(">");
    const SIZE: usize;
    const ALIGN: usize;
    type First;
    type Second;
    type Word;

    /// # Safety
    /// The words are those that the host gave.
    unsafe fn take(first: Self::First, second: Self::Second) -> Self;
    /// # Safety
    /// A value of this type lies there, aligned.
    unsafe fn read(at: *const u8) -> Self;
    /// # Safety
    /// There is room for a value of this type, aligned.
    unsafe fn write(self, at: *mut u8);
    fn give(self) -> Self::Word;

    /// # Safety
    /// So many values lie there in a row.
    unsafe fn read_all(at: *const u8, count: usize) -> Vec<Self> {
        (0..count).map(|index| Self::read(at.add(index * Self::SIZE))).collect()
    }
    fn write_all(items: Vec<Self>) -> *const u8 {
        let at = room(items.len() * Self::SIZE);
        for (index, item) in items.into_iter().enumerate() {
            unsafe { item.write(at.add(index * Self::SIZE)) };
        }
        at
    }
}

/// A value that is an address and a number of bytes or items.
pub trait Block: Sized {
    const NAME: Line;
    /// # Safety
    /// So many bytes or items lie there until the next call.
    unsafe fn from_block(at: *const u8, length: usize) -> Self;
    fn into_block(self) -> (*const u8, usize);
}

/// A value of which there is an option.
pub trait Optional: Value {
    const OPTION_SIZE: usize;
    type OptionFirst;
    type OptionSecond;
    type OptionWord;
    /// # Safety
    /// See `Value::take`.
    unsafe fn take_option(first: Self::OptionFirst, second: Self::OptionSecond) -> Option<Self>;
    /// # Safety
    /// See `Value::read`.
    unsafe fn read_option(at: *const u8) -> Option<Self>;
    /// # Safety
    /// See `Value::write`.
    unsafe fn write_option(value: Option<Self>, at: *mut u8);
    fn give_option(value: Option<Self>) -> Self::OptionWord;
}

/// What a function gives: a value, several, none, or an error that ends the call.
pub trait Outcome {
    const NAME: Line;
    type Word;
    fn give(self) -> Self::Word;
}

// What lies in memory stays until the next call: a buffer for its arguments, and what its results are made of.
static mut ARGUMENTS: Vec<u64> = Vec::new();
static mut KEPT: Vec<Box<dyn Any>> = Vec::new();
static HOOK: Once = Once::new();

#[no_mangle]
pub extern "C" fn echelon_alloc(size: usize) -> *mut u64 {
    let block = unsafe { &mut *std::ptr::addr_of_mut!(ARGUMENTS) };
    block.clear();
    match block.try_reserve(size / 8 + 1) {
        Ok(()) => block.as_mut_ptr(),
        Err(_) => std::ptr::null_mut(),
    }
}

/// Begin a call: forget the results of the last one, and let panics reach the caller.
pub fn begin() {
    unsafe { (*std::ptr::addr_of_mut!(KEPT)).clear() };
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let message = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            match panic.location() {
                Some(place) => crate::abort(message, place.file(), place.line(), place.column()),
                None => crate::abort(message, "", 0, 0),
            }
        }))
    });
}

fn keep(value: impl Any) {
    unsafe { (*std::ptr::addr_of_mut!(KEPT)).push(Box::new(value)) }
}

fn room(size: usize) -> *mut u8 {
    let mut made = vec![0_u64; (size + 7) / 8];
    let at = made.as_mut_ptr().cast();
    keep(made);
    at
}

const fn up(offset: usize, align: usize) -> usize {
    (offset + align - 1) / align * align
}

macro_rules! number {
    ($($type:ty: $name:literal, $list:literal, $word:ty, $from:expr;)*) => {$(
        impl Value for $type {
            const NAME: Line = Line::new($name);
            const LIST: Line = Line::new($list);
            const SIZE: usize = size_of::<$type>();
            const ALIGN: usize = align_of::<$type>();
            type First = $word;
            type Second = ();
            type Word = $word;
            unsafe fn take(first: $word, _: ()) -> Self {
                ($from)(first)
            }
            unsafe fn read(at: *const u8) -> Self {
                *at.cast()
            }
            unsafe fn write(self, at: *mut u8) {
                *at.cast() = self;
            }
            fn give(self) -> $word {
                self as $word
            }
            unsafe fn read_all(at: *const u8, count: usize) -> Vec<Self> {
                <&[$type]>::from_block(at, count).to_vec()
            }
            fn write_all(items: Vec<Self>) -> *const u8 {
                let at = items.as_ptr().cast();
                keep(items);
                at
            }
        }

        impl<'a> Block for &'a [$type] {
            const NAME: Line = <$type as Value>::LIST;
            unsafe fn from_block(at: *const u8, count: usize) -> Self {
                if count == 0 { &[] } else { slice::from_raw_parts(at.cast(), count) }
            }
            fn into_block(self) -> (*const u8, usize) {
                (self.as_ptr().cast(), self.len())
            }
        }

        impl Optional for $type {
            const OPTION_SIZE: usize = 2 * size_of::<$type>();
            type OptionFirst = i32;
            type OptionSecond = $word;
            type OptionWord = *const u8;
            unsafe fn take_option(first: i32, second: $word) -> Option<Self> {
                if first == 0 { None } else { Some(($from)(second)) }
            }
            unsafe fn read_option(at: *const u8) -> Option<Self> {
                if *at == 0 { None } else { Some(Self::read(at.add(Self::ALIGN))) }
            }
            unsafe fn write_option(value: Option<Self>, at: *mut u8) {
                *at = u8::from(value.is_some());
                if let Some(value) = value {
                    value.write(at.add(Self::ALIGN));
                }
            }
            fn give_option(value: Option<Self>) -> *const u8 {
                let at = room(Self::OPTION_SIZE);
                unsafe { Self::write_option(value, at) };
                at
            }
        }
    )*};
}
number! {
    bool: "bool", "list<bool>", i32, |word: i32| word != 0;
    i8: "i8", "list<i8>", i32, |word: i32| word as i8;
    u8: "u8", "bytes", i32, |word: i32| word as u8;
    i16: "i16", "list<i16>", i32, |word: i32| word as i16;
    u16: "u16", "list<u16>", i32, |word: i32| word as u16;
    i32: "i32", "list<i32>", i32, |word: i32| word;
    u32: "u32", "list<u32>", i32, |word: i32| word as u32;
    isize: "i32", "list<i32>", i32, |word: i32| word as isize;
    usize: "u32", "list<u32>", i32, |word: i32| word as usize;
    i64: "i64", "list<i64>", i64, |word: i64| word;
    u64: "u64", "list<u64>", i64, |word: i64| word as u64;
    f32: "f32", "list<f32>", f32, |word: f32| word;
    f64: "f64", "list<f64>", f64, |word: f64| word;
}

impl<T: Block> Value for T {
    const NAME: Line = <T as Block>::NAME;
    const SIZE: usize = 8;
    const ALIGN: usize = 4;
    type First = *const u8;
    type Second = usize;
    type Word = u64;
    unsafe fn take(first: *const u8, second: usize) -> Self {
        T::from_block(first, second)
    }
    unsafe fn read(at: *const u8) -> Self {
        let words: *const usize = at.cast();
        T::from_block(*words as *const u8, *words.add(1))
    }
    unsafe fn write(self, at: *mut u8) {
        let (address, length) = self.into_block();
        let words: *mut usize = at.cast();
        *words = address as usize;
        *words.add(1) = length;
    }
    fn give(self) -> u64 {
        let (address, length) = self.into_block();
        (address as u64) << 32 | length as u64
    }
}

impl<T: Block> Optional for T {
    const OPTION_SIZE: usize = 8;
    type OptionFirst = *const u8;
    type OptionSecond = usize;
    type OptionWord = u64;
    unsafe fn take_option(first: *const u8, second: usize) -> Option<Self> {
        if first.is_null() { None } else { Some(T::from_block(first, second)) }
    }
    unsafe fn read_option(at: *const u8) -> Option<Self> {
        let words: *const usize = at.cast();
        Self::take_option(*words as *const u8, *words.add(1))
    }
    unsafe fn write_option(value: Option<Self>, at: *mut u8) {
        match value {
            Some(value) => Value::write(value, at),
            None => *at.cast::<u64>() = 0,
        }
    }
    fn give_option(value: Option<Self>) -> u64 {
        value.map_or(0, Value::give)
    }
}

impl<T: Optional> Value for Option<T> {
    const NAME: Line = Line::new("option<").join(T::NAME).with(">");
    const SIZE: usize = T::OPTION_SIZE;
    const ALIGN: usize = T::ALIGN;
    type First = T::OptionFirst;
    type Second = T::OptionSecond;
    type Word = T::OptionWord;
    unsafe fn take(first: Self::First, second: Self::Second) -> Self {
        T::take_option(first, second)
    }
    unsafe fn read(at: *const u8) -> Self {
        T::read_option(at)
    }
    unsafe fn write(self, at: *mut u8) {
        T::write_option(self, at)
    }
    fn give(self) -> Self::Word {
        T::give_option(self)
    }
}

impl<'a> Block for &'a str {
    const NAME: Line = Line::new("str");
    unsafe fn from_block(at: *const u8, length: usize) -> Self {
        std::str::from_utf8_unchecked(Block::from_block(at, length))
    }
    fn into_block(self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

impl Block for String {
    const NAME: Line = Line::new("str");
    unsafe fn from_block(at: *const u8, length: usize) -> Self {
        <&str>::from_block(at, length).to_owned()
    }
    fn into_block(self) -> (*const u8, usize) {
        let found = (self.as_ptr(), self.len());
        keep(self);
        found
    }
}

impl<T: Value> Block for Vec<T> {
    const NAME: Line = T::LIST;
    unsafe fn from_block(at: *const u8, count: usize) -> Self {
        T::read_all(at, count)
    }
    fn into_block(self) -> (*const u8, usize) {
        let count = self.len();
        (T::write_all(self), count)
    }
}

impl Block for Json {
    const NAME: Line = Line::new("json");
    unsafe fn from_block(at: *const u8, length: usize) -> Self {
        Json::parse(<&str>::from_block(at, length)).unwrap_or_else(|error| crate::abort(&error, "", 0, 0))
    }
    fn into_block(self) -> (*const u8, usize) {
        self.to_string().into_block()
    }
}

impl Block for Request {
    const NAME: Line = Line::new("bytes");
    unsafe fn from_block(at: *const u8, length: usize) -> Self {
        Request::read(Block::from_block(at, length))
    }
    fn into_block(self) -> (*const u8, usize) {
        self.written().into_block()
    }
}

impl Block for Response {
    const NAME: Line = Line::new("bytes");
    unsafe fn from_block(at: *const u8, length: usize) -> Self {
        Response::read(Block::from_block(at, length))
    }
    fn into_block(self) -> (*const u8, usize) {
        self.written().into_block()
    }
}

impl Outcome for () {
    const NAME: Line = Line::new("");
    type Word = ();
    fn give(self) {}
}

impl<T: Value> Outcome for T {
    const NAME: Line = Line::new(" -> ").join(T::NAME);
    type Word = T::Word;
    fn give(self) -> T::Word {
        Value::give(self)
    }
}

impl<T: Outcome, E: Display> Outcome for Result<T, E> {
    const NAME: Line = T::NAME;
    type Word = T::Word;
    fn give(self) -> T::Word {
        self.unwrap_or_else(|error| crate::abort(&error.to_string(), "", 0, 0)).give()
    }
}

macro_rules! several {
    ($first:ident $($more:ident)+) => {
        impl<$first: Value, $($more: Value),+> Outcome for ($first, $($more),+) {
            const NAME: Line = Line::new(" -> ").join($first::NAME)$(.with(", ").join($more::NAME))+;
            type Word = *const u8;
            #[allow(non_snake_case)]
            fn give(self) -> *const u8 {
                let ($first, $($more),+) = self;
                let at = room($first::SIZE $(+ $more::SIZE + 8)+);
                let mut next = $first::SIZE;
                unsafe {
                    $first.write(at);
                    $(
                        next = up(next, $more::ALIGN);
                        $more.write(at.add(next));
                        next += $more::SIZE;
                    )+
                }
                let _ = next;
                at
            }
        }
    };
}
several!(A B);
several!(A B C);
several!(A B C D);
several!(A B C D E);
several!(A B C D E F);
