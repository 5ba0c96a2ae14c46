// How many changes make one text of n letters another. The letters come from a simple generator.

fn letters(n: usize, seed: &mut u32) -> Vec<u8> {
    let mut made = Vec::with_capacity(n);
    for _ in 0..n {
        *seed = (*seed * 3877 + 29573) % 139968;
        made.push(b'a' + (*seed * 4 / 139968) as u8);
    }
    made
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let n = n as usize;
        let mut seed = 42;
        let (a, b) = (letters(n, &mut seed), letters(n, &mut seed));
        let mut before: Vec<u32> = (0..=n as u32).collect();
        let mut row = vec![0; n + 1];
        for i in 1..=n {
            row[0] = i as u32;
            for j in 1..=n {
                let changed = before[j - 1] + u32::from(a[i - 1] != b[j - 1]);
                row[j] = changed.min(before[j].min(row[j - 1]) + 1);
            }
            std::mem::swap(&mut before, &mut row);
        }
        f64::from(before[n])
    }
}
