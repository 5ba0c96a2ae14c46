// Fannkuch: how often the front of a permutation of n numbers can be turned around. Gives 1000 * checksum + the most.

echelon::export! {
    fn run(n: i32) -> f64 {
        let n = n as usize;
        let mut permutation: Vec<usize> = (0..n).collect();
        let mut turned = permutation.clone();
        let mut count = vec![0; n];
        let (mut most, mut checksum, mut left, mut number) = (0, 0, n, 0);
        loop {
            while left != 1 {
                count[left - 1] = left;
                left -= 1;
            }
            turned.copy_from_slice(&permutation);
            let mut flips = 0;
            while turned[0] != 0 {
                let first = turned[0];
                turned[..=first].reverse();
                flips += 1;
            }
            most = most.max(flips);
            checksum += if number % 2 == 1 { -flips } else { flips };
            number += 1;
            loop {
                if left == n {
                    return 1000.0 * f64::from(checksum) + f64::from(most);
                }
                permutation[..=left].rotate_left(1);
                count[left] -= 1;
                if count[left] > 0 {
                    break;
                }
                left += 1;
            }
        }
    }
}
