const DIGITS: [(u32, &str); 13] = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
    (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
];

echelon::export! {
    fn roman(number: u32) -> Result<String, String> {
        if number == 0 || number > 3999 {
            return Err(format!("{number} cannot be written: choose 1 to 3999"));
        }
        let mut rest = number;
        let mut text = String::new();
        for (value, digit) in DIGITS {
            while rest >= value {
                text += digit;
                rest -= value;
            }
        }
        Ok(text)
    }
}
