//! Decimal digits without `core::fmt`, whose machinery a device that formats nothing else would carry for
//! them: some kilobytes of its flash.

/// A number's decimal digits, without leading zeros.
pub(crate) struct Decimal {
    digits: [u8; Decimal::MAX_LEN],
    start: usize,
}

impl Decimal {
    /// Digits of the largest number.
    const MAX_LEN: usize = 20;

    pub(crate) fn new(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; Self::MAX_LEN], start: Self::MAX_LEN };
        for digit in decimal.digits.iter_mut().rev() {
            *digit = b'0' | u8::try_from(number % 10).unwrap_or(0);
            decimal.start = decimal.start.saturating_sub(1);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn digits_are_those_of_display() {
        for number in [0, 1, 9, 10, 99, 100, 65_535, 1 << 62, u64::MAX - 1, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
