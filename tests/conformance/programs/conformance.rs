//! The conformance program in Rust; what it has to answer stands in test_conformance.py.

use echelon::http::fetch;
use echelon::kv::Part;
use echelon::{fail, kv, log, Json, Request, Response};

#[link(wasm_import_module = "shop")]
extern "C" {
    #[link_name = "price"]
    fn shop_price(article: *const u8, length: usize) -> u32;
}

static mut CALLS: i32 = 0;

echelon::export! {
    fn echo_i8(n: i8) -> i8 { n }
    fn echo_u8(n: u8) -> u8 { n }
    fn echo_i16(n: i16) -> i16 { n }
    fn echo_u16(n: u16) -> u16 { n }
    fn echo_i32(n: i32) -> i32 { n }
    fn echo_u32(n: u32) -> u32 { n }
    fn echo_i64(n: i64) -> i64 { n }
    fn echo_u64(n: u64) -> u64 { n }
    fn echo_f32(n: f32) -> f32 { n }
    fn echo_f64(n: f64) -> f64 { n }
    fn negate(on: bool) -> bool { !on }
    fn divide(a: i32, b: i32) -> i32 { a / b }

    fn greet(who: &str) -> String { format!("Hello, {who}!") }
    fn characters(text: &str) -> u32 { text.chars().count() as u32 }

    fn reverse(data: Vec<u8>) -> Vec<u8> { data.into_iter().rev().collect() }

    fn sorted(numbers: Vec<i32>) -> Vec<i32> {
        let mut made = numbers;
        made.sort_unstable();
        made
    }

    fn total(numbers: &[f64]) -> f64 { numbers.iter().sum() }
    fn join(words: Vec<String>, by: &str) -> String { words.join(by) }
    fn split(text: &str, by: &str) -> Vec<String> { text.split(by).map(String::from).collect() }

    fn first(text: Option<String>) -> Option<String> { text.map(|text| text.chars().take(1).collect()) }
    fn half(n: Option<f64>) -> Option<f64> { n.map(|n| n / 2.0) }
    fn wrap(value: Json) -> Json { Json::object().with("value", value).with("ok", true) }

    fn checksum(data: &[u8]) -> u32 { data.iter().fold(0, |sum, byte| sum.wrapping_add((*byte).into())) }
    fn repeat(text: &str, times: u32) -> String { text.repeat(times as usize) }

    fn refuse(why: &str) { fail(why) }
    fn spin() { loop {} }

    fn count_up() -> i32 {
        unsafe {
            CALLS += 1;
            CALLS
        }
    }

    fn variable(name: &str) -> Option<String> { echelon::env(name) }
    fn note(text: &str) { log::info(text) }

    fn store(name: &str, value: &str) { kv::set(("conformance", name), value); }
    fn load(name: &str) -> Option<String> { kv::get(("conformance", name))?.value.text().map(String::from) }
    fn forget(name: &str) { kv::delete(("conformance", name)) }

    fn tally(name: &str, n: u32) -> u64 {
        kv::Atomic::new().sum(("conformance", "tally", name), n.into()).commit();
        kv::get(("conformance", "tally", name)).and_then(|entry| entry.value.number()).unwrap()
    }

    fn claim(name: &str, value: &str) -> bool {
        kv::Atomic::new().check(("conformance", name), "").set(("conformance", name), value).commit().is_some()
    }

    fn names(limit: u32, cursor: &str) -> Vec<String> {
        let (entries, next) = kv::List::of(("conformance", "page")).limit(limit as usize).after(cursor).page();
        let mut found: Vec<String> = entries.into_iter().map(|(key, _)| part_text(&key[2])).collect();
        found.push(next);
        found
    }

    fn parts(name: &str) -> String {
        let key: kv::Key = vec!["conformance".into(), name.into(), (-7).into(), 0.5.into(), true.into(), vec![0, 255].into()];
        kv::set(key, "found");
        let (key, entry) = kv::List::of(("conformance", name)).read().remove(0);
        match &key[2..] {
            [Part::Int(whole), Part::Float(real), Part::Bool(truth), Part::Bytes(content)] => {
                format!("{whole} {real} {truth} {} {}", content.len(), entry.value.text().unwrap())
            }
            other => format!("{other:?}"),
        }
    }

    fn ask(url: &str) -> Result<String, String> {
        let answer = fetch(&Request::get(url))?;
        Ok(format!("{} {}", answer.status, answer.body_text()))
    }

    fn price(article: &str) -> u32 { unsafe { shop_price(article.as_ptr(), article.len()) } }

    fn handle(request: Request) -> Response {
        let said = request.header("x-say").unwrap_or("nothing");
        let body = format!("{} {} {} {}", request.method, request.path, request.query, request.text());
        Response::text(body).status(201).with("x-heard", said)
    }
}

fn part_text(part: &Part) -> String {
    if let Part::Text(text) = part { text.clone() } else { format!("{part:?}") }
}
