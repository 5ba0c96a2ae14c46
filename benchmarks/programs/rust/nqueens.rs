// In how many ways n queens can stand on n * n fields without threatening each other.

struct Board {
    n: usize,
    columns: Vec<bool>,
    rising: Vec<bool>,
    falling: Vec<bool>,
}

impl Board {
    fn place(&mut self, row: usize) -> u32 {
        if row == self.n {
            return 1;
        }
        let mut ways = 0;
        for column in 0..self.n {
            let (up, down) = (row + column, row + self.n - column);
            if self.columns[column] || self.rising[up] || self.falling[down] {
                continue;
            }
            self.set(column, up, down, true);
            ways += self.place(row + 1);
            self.set(column, up, down, false);
        }
        ways
    }

    fn set(&mut self, column: usize, up: usize, down: usize, taken: bool) {
        self.columns[column] = taken;
        self.rising[up] = taken;
        self.falling[down] = taken;
    }
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let n = n as usize;
        let free = |count| vec![false; count];
        let mut board = Board { n, columns: free(n), rising: free(2 * n), falling: free(2 * n) };
        f64::from(board.place(0))
    }
}
