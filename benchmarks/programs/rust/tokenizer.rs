// Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers.

use std::fmt::Write;

fn records(n: i32) -> String {
    let mut made = String::from("[");
    for i in 0..n {
        if i > 0 {
            made.push(',');
        }
        let name = format!("{{\"id\": {}, \"name\": \"item \\\"{}\\\"\", ", i, i % 100);
        made.push_str(&name);
        let rest = write!(
            made,
            "\"tags\": [\"a\", \"b\"], \"price\": {}.5, \"ok\": {}, \"next\": null}}",
            i % 1000,
            i % 2 == 1
        );
        rest.expect("a text takes what is written");
    }
    made.push(']');
    made
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let made = records(n);
        let text = made.as_bytes();
        let (mut tokens, mut sum, mut at) = (0, 0.0, 0);
        while at < text.len() {
            let letter = text[at];
            if letter.is_ascii_whitespace() {
                at += 1;
                continue;
            }
            tokens += 1;
            if letter == b'"' {
                at += 1;
                while text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            } else if letter.is_ascii_digit() {
                let (mut number, mut place) = (0.0, 0.1);
                while text[at].is_ascii_digit() {
                    number = number * 10.0 + f64::from(text[at] - b'0');
                    at += 1;
                }
                if text[at] == b'.' {
                    at += 1;
                    while text[at].is_ascii_digit() {
                        number += f64::from(text[at] - b'0') * place;
                        place /= 10.0;
                        at += 1;
                    }
                }
                sum += number;
            } else if letter.is_ascii_alphabetic() {
                while text[at].is_ascii_alphabetic() {
                    at += 1;
                }
            } else {
                at += 1;
            }
        }
        f64::from(tokens) + sum
    }
}
