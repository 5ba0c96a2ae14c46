// Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.
// Words have one to three letters of eight; they come from a simple generator.

use std::collections::HashMap;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = (self.0 * 3877 + 29573) % 139968;
        self.0 * limit / 139968
    }
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let mut numbers = Numbers(42);
        let mut text = String::new();
        for i in 0..n {
            if i > 0 {
                text.push(' ');
            }
            for _ in 0..1 + numbers.below(3) {
                text.push((b'a' + numbers.below(8) as u8) as char);
            }
        }
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for word in text.split(' ') {
            *counts.entry(word).or_default() += 1;
        }
        counts.values().map(|count| count * count).sum::<u64>() as f64
    }
}
