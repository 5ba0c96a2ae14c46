// How many primes there are below n.

echelon::export! {
    fn run(n: i32) -> f64 {
        let n = n as usize;
        let mut composite = vec![false; n];
        let mut found = 0;
        for i in 2..n {
            if composite[i] {
                continue;
            }
            found += 1;
            for j in (i..n).step_by(i) {
                composite[j] = true;
            }
        }
        f64::from(found)
    }
}
