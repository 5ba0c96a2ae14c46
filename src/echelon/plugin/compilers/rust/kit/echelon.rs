//! What a guest in Rust uses of its host (docs/abi.md):
//!
//!     echelon::export! {
//!         fn greet(who: &str) -> String {
//!             format!("Hello, {who}!")
//!         }
//!     }
//!
//! What a function gives stays until the next call of its instance. So does what is borrowed of its parameters, and no
//! longer: keep a copy, never a `&'static`.

pub mod buffer;
pub mod file;
mod host;
pub mod http;
mod json;
mod line;
pub mod kv;
pub mod values;

pub use http::{Request, Response};
pub use json::Json;

/// Export functions with the signature that their types have: numbers, `bool`, `&str`, `String`, `&[u8]`, `Vec<T>`,
/// `Option<T>`, `Json`, and as a result also tuples and `Result<T, E>`, whose error ends the call.
#[macro_export]
macro_rules! export {
    () => {};
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block $($rest:tt)*) => {
        $(#[$meta])* $vis fn $name($($arg: $type),*) $body
        $crate::export_as!($name [] [] [$($arg: $type,)*] [$($arg: $type,)*] ());
        $crate::export!($($rest)*);
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> &$life:lifetime $out:ty $body:block $($rest:tt)*) => {
        $(#[$meta])* $vis fn $name($($arg: $type),*) -> &$life $out $body
        $crate::export_as!($name [] [] [$($arg: $type,)*] [$($arg: $type,)*] &'static $out);
        $crate::export!($($rest)*);
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> &$out:ty $body:block $($rest:tt)*) => {
        $(#[$meta])* $vis fn $name($($arg: $type),*) -> &$out $body
        $crate::export_as!($name [] [] [$($arg: $type,)*] [$($arg: $type,)*] &'static $out);
        $crate::export!($($rest)*);
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> Option<&$out:ty> $body:block $($rest:tt)*) => {
        $(#[$meta])* $vis fn $name($($arg: $type),*) -> Option<&$out> $body
        $crate::export_as!($name [] [] [$($arg: $type,)*] [$($arg: $type,)*] Option<&'static $out>);
        $crate::export!($($rest)*);
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block $($rest:tt)*) => {
        $(#[$meta])* $vis fn $name($($arg: $type),*) -> $out $body
        $crate::export_as!($name [] [] [$($arg: $type,)*] [$($arg: $type,)*] $out);
        $crate::export!($($rest)*);
    };
}

/// One parameter of the source is two of the module, the second of which is nothing for numbers.
#[doc(hidden)]
#[macro_export]
macro_rules! export_as {
    ($name:ident [$($words:tt)*] [$($values:tt)*] [$arg:ident: $type:ty, $($more:tt)*] $all:tt $out:ty) => {
        $crate::export_as!(
            $name
            [$($words)* first: <$type as $crate::values::Value>::First, second: <$type as $crate::values::Value>::Second,]
            [$($values)* <$type as $crate::values::Value>::take(first, second),]
            [$($more)*] $all $out
        );
    };
    ($name:ident [$($words:tt)*] [$($values:tt)*] [] [$($arg:ident: $type:ty,)*] $out:ty) => {
        const _: () = {
            // Functions of the C library have such names too, so the symbol is another one.
            #[export_name = concat!("echelon.", stringify!($name))]
            #[allow(improper_ctypes_definitions, clippy::all)]
            unsafe extern "C" fn call($($words)*) -> <$out as $crate::values::Outcome>::Word {
                $crate::values::begin();
                $crate::values::Outcome::give($name($($values)*))
            }
            const LINE: $crate::values::Line = $crate::values::Line::new(stringify!($name)).with("(")
                $(.parameter(stringify!($arg), <$type as $crate::values::Value>::NAME))*
                .with(")").join(<$out as $crate::values::Outcome>::NAME).with("\n");
            #[used]
            #[link_section = "echelon:exports"]
            static SIGNATURE: [u8; LINE.length()] = LINE.bytes();
        };
    };
}

/// End the call; its caller reads the message, with the file and line of this call.
#[track_caller]
pub fn fail(message: impl std::fmt::Display) -> ! {
    let place = std::panic::Location::caller();
    abort(&message.to_string(), place.file(), place.line(), place.column())
}

pub(crate) fn abort(message: &str, file: &str, line: u32, column: u32) -> ! {
    unsafe { host::abort(message.as_ptr(), message.len(), file.as_ptr(), file.len(), line, column) };
    std::process::abort()
}

/// The value of a variable of the environment, if it is set and the guest may know it.
pub fn env(name: &str) -> Option<String> {
    host::taken(unsafe { host::env_get(name.as_ptr(), name.len()) }).map(host::text)
}

/// What the host keeps of a call besides its result.
pub mod log {
    use std::fmt::Display;

    fn add(level: i32, message: impl Display) {
        let text = message.to_string();
        unsafe { crate::host::log(level, text.as_ptr(), text.len()) }
    }

    pub fn debug(message: impl Display) {
        add(0, message)
    }

    pub fn info(message: impl Display) {
        add(1, message)
    }

    pub fn warning(message: impl Display) {
        add(2, message)
    }

    pub fn error(message: impl Display) {
        add(3, message)
    }
}
