//! JSON numbers as Python prints them: `str(int)` and `str(float)`.

use std::borrow::Cow;

/// Whether Python reads the literal as a float.
pub(super) fn is_float(literal: &str) -> bool {
    literal.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The literal as Python would print its value again.
pub(super) fn to_text(literal: &str) -> Cow<'_, str> {
    if is_float(literal) {
        return literal.parse().map_or(Cow::Borrowed(literal), |float| Cow::Owned(float_to_text(float)));
    }
    // JSON has no leading zeros and no plus sign: only minus zero prints otherwise.
    Cow::Borrowed(if literal == "-0" { "0" } else { literal })
}

/// Python's `repr(float)`: the shortest digits that read back the same, with
/// an exponent below 1e-4 and from 1e16.
fn float_to_text(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = format!("{float}");
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_python() {
        for (literal, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.0", "1.0"),
            ("1e3", "1000.0"),
            ("1e16", "1e+16"),
            ("123456789012345680.0", "1.2345678901234568e+17"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5E-300", "1.5e-300"),
            ("1e400", "inf"),
            ("-1e400", "-inf"),
            ("1e-400", "0.0"),
        ] {
            assert_eq!(to_text(literal), expected, "{literal}");
        }
    }
}
