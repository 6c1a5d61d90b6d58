//! Moments, and the time between two of them, as documents and events show them.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// RFC 3339, UTC, microseconds.
pub fn moment(time: SystemTime) -> String {
    // Only a year beyond 9999 cannot be shown so.
    OffsetDateTime::from(time).format(MOMENT).unwrap_or_default()
}

/// Between two moments as they are shown, so that who subtracts these has the same.
pub fn microseconds(from: SystemTime, to: SystemTime) -> u64 {
    let [from, to] = [from, to].map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros());
    u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_span_is_the_difference_of_the_moments_that_are_shown() {
        let at = |nanos: u64| UNIX_EPOCH + Duration::from_nanos(1_774_449_000_000_000_000 + nanos);
        let (from, to) = (at(1_999), at(3_001));
        assert!(moment(from).ends_with(".000001Z") && moment(to).ends_with(".000003Z"));
        assert_eq!((microseconds(from, to), microseconds(to, from)), (2, 0));
    }
}
