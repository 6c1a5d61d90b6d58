//! When two tokens are numbers that are near enough to each other.

use crate::model::Tolerance;

/// Whether both are numbers and the first is within the tolerance of the second.
///
/// A number is what strtod(3) reads in decimal notation, `inf`, `infinity` and `nan` in any case among it. Whole numbers of
/// up to 38 digits are compared exactly, since a double has room for 15. Infinity is near itself alone, and so is what is
/// no number. A number too large for a double is text.
pub(super) fn near(seen: &[u8], wanted: &[u8], tolerance: Tolerance) -> bool {
    let (Ok(seen), Ok(wanted)) = (std::str::from_utf8(seen), std::str::from_utf8(wanted)) else { return false };
    if let (Ok(seen), Ok(wanted)) = (seen.parse::<i128>(), wanted.parse::<i128>()) {
        return seen == wanted || within(seen.abs_diff(wanted) as f64, wanted.unsigned_abs() as f64, tolerance);
    }
    match (number(seen), number(wanted)) {
        (Some(seen), Some(wanted)) if seen.is_nan() || wanted.is_nan() => seen.is_nan() && wanted.is_nan(),
        (Some(seen), Some(wanted)) if seen.is_infinite() || wanted.is_infinite() => seen == wanted,
        (Some(seen), Some(wanted)) => seen == wanted || within((seen - wanted).abs(), wanted.abs(), tolerance),
        _ => false,
    }
}

fn within(distance: f64, size: f64, Tolerance { absolute, relative }: Tolerance) -> bool {
    // A distance between two numbers may itself be too large for one.
    distance.is_finite() && (distance <= absolute || distance <= relative * size)
}

fn number(text: &str) -> Option<f64> {
    let number = text.parse::<f64>().ok()?;
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    (number.is_finite() || !digits).then_some(number)
}
