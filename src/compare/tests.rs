//! Each row of the table, and what holds for all outputs.

use proptest::prelude::*;

use super::*;

const CLOSE: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-6 };

/// From the strictest on.
const ALL: [Compare; 4] = [Compare::Exact, Compare::Trailing, Compare::Tokens, Compare::Floats(CLOSE)];

fn in_pieces(seen: &[u8], expected: &[u8], compare: Compare, size: usize) -> bool {
    let expected = Expected { bytes: expected.to_vec(), compare };
    let mut comparison = Comparison::with(&expected);
    seen.chunks(size.max(1)).for_each(|piece| comparison.feed(piece));
    comparison.same()
}

fn same(seen: &[u8], expected: &[u8], compare: Compare) -> bool {
    in_pieces(seen, expected, compare, usize::MAX)
}

#[test]
fn what_counts_by_each() {
    // Output, expected, and from which of them on it is the same.
    let table: &[(&[u8], &[u8], usize)] = &[
        (b"", b"", 0),
        (b"1 2\n", b"1 2\n", 0),
        (b"1 2", b"1 2\n", 1),
        (b"1 2 \t\r\n\n \n", b"1 2", 1),
        (b"1 2", b"1 2 \n\n\n", 1),
        (b"a\r\nb\r\n", b"a\nb\n", 1),
        (b" \n\n", b"", 1),
        (b"a \n b", b"a\n b", 1),
        (b"a\n\nb", b"a\nb", 2),
        (b"1  2", b"1 2", 2),
        (b"  1\n2", b"1 2", 2),
        (b"\n1", b"1", 2),
        (b"1 2.0000001", b"1 2", 3),
        (b"1e3 x", b"1000 x", 3),
        (b"NaN -INF", b"nan -inf", 3),
        (b"1 2", b"1 2 3", 4),
        (b"1 2 3", b"1 2", 4),
        (b"12", b"1 2", 4),
        (b"1 2", b"12", 4),
        (b"A", b"a", 4),
        (b"", b"x", 4),
        (b"x", b"", 4),
        (b"x", b" \n", 4),
        (b"1.1", b"1.2", 4),
        (b"\0", b"", 4),
        (b"\xff\0", b"\xff\0\n", 1),
        (b"\xff", b"\xfe", 4),
        (b"1.0x", b"1.0y", 4),
        (b"a\xc2\xa0", b"a", 4),
    ];
    for (seen, expected, from) in table {
        for (number, compare) in ALL.into_iter().enumerate() {
            for size in [1, 2, usize::MAX] {
                let found = in_pieces(seen, expected, compare, size);
                assert_eq!(found, number >= *from, "{seen:?} for {expected:?} by {compare:?}");
            }
        }
    }
}

#[test]
fn numbers_within_a_tolerance() {
    let by = |absolute, relative| Compare::Floats(Tolerance { absolute, relative });
    let (absolute, relative, none) = (by(0.01, 0.0), by(0.0, 0.01), by(0.0, 0.0));
    let table = [
        ("1.01", "1.0", by(0.011, 0.0), true),
        ("1.02", "1.0", absolute, false),
        ("100.9", "100", relative, true),
        ("101.1", "100", relative, false),
        ("0.005", "0", absolute, true),
        ("0.005", "0", relative, false),
        ("-1", "1", by(1.9, 0.0), false),
        ("1", "1.0", none, true),
        ("-0", "0.0", none, true),
        ("+5", "5", none, true),
        (".5", "5e-1", none, true),
        ("9007199254740993", "9007199254740992", none, false),
        ("9007199254740993", "9007199254740992", by(1.0, 0.0), true),
        ("inf", "Infinity", none, true),
        ("inf", "-inf", by(f64::MAX, f64::MAX), false),
        ("inf", "1e308", by(f64::MAX, f64::MAX), false),
        ("1e308", "-1e308", by(f64::MAX, f64::MAX), false),
        ("nan", "1", by(f64::MAX, f64::MAX), false),
        ("-nan", "nan", none, true),
        ("1e999", "2e999", by(f64::MAX, f64::MAX), false),
        ("1e999", "inf", by(f64::MAX, f64::MAX), false),
        ("1e-999", "0", none, true),
        ("0x10", "16", by(1.0, 1.0), false),
        ("1_000", "1000", by(1.0, 1.0), false),
        ("one", "1", by(1.0, 1.0), false),
    ];
    for (seen, expected, compare, wanted) in table {
        assert_eq!(same(seen.as_bytes(), expected.as_bytes(), compare), wanted, "{seen} for {expected} by {compare:?}");
    }
    let long = "1".repeat(LONGEST_NUMBER + 1);
    assert!(same(long.as_bytes(), long.as_bytes(), none));
    assert!(!same(format!("{long}.0").as_bytes(), long.as_bytes(), by(f64::MAX, f64::MAX)));
    let full = format!("{:.1100}", f64::MIN_POSITIVE);
    assert!(same(full.as_bytes(), b"2.2250738585072014e-308", by(0.0, 1e-9)));
}

/// Nothing that comes is kept: neither white space that waits for what follows it, nor a token.
#[test]
fn an_output_of_any_length_takes_no_room() {
    let expected = Expected { bytes: b"1 2".to_vec(), compare: Compare::Floats(CLOSE) };
    let mut comparison = Comparison::with(&expected);
    comparison.feed(b"1 ");
    (0..1000).for_each(|_| comparison.feed(&[b'2'; 10_000]));
    let By::Tokens(token, _) = &comparison.by else { panic!() };
    assert!(token.text.capacity() <= 2 * LONGEST_NUMBER);
    assert!(!comparison.same());
}

/// The same without pieces and pending states.
fn plainly(seen: &[u8], expected: &[u8], compare: Compare) -> bool {
    let tokens = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|&byte| is_space(byte)).filter(|token| !token.is_empty()).map(<[u8]>::to_vec).collect()
    };
    match compare {
        Compare::Exact => seen == expected,
        Compare::Trailing => without_ends(seen) == without_ends(expected),
        Compare::Tokens => tokens(seen) == tokens(expected),
        Compare::Floats(tolerance) => {
            let (seen, expected) = (tokens(seen), tokens(expected));
            let near = |(a, b): (&Vec<u8>, &Vec<u8>)| a == b || number::near(a, b, tolerance);
            seen.len() == expected.len() && seen.iter().zip(&expected).all(near)
        }
    }
}

/// Few letters, so that two texts are often alike.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::sample::select(b"01.e-na \n\n\t\r\0\xff".to_vec());
    prop::collection::vec(bytes, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_output_is_the_same_as_itself(text in text(), bytes: Vec<u8>, size in 1_usize..5) {
        for compare in ALL {
            prop_assert!(in_pieces(&text, &text, compare, size), "{compare:?}");
            prop_assert!(in_pieces(&bytes, &bytes, compare, size), "{compare:?}");
        }
    }

    #[test]
    fn each_takes_what_a_stricter_one_takes(seen in text(), expected in text()) {
        let by = ALL.map(|compare| same(&seen, &expected, compare));
        prop_assert!(by.is_sorted(), "{by:?}");
    }

    #[test]
    fn pieces_do_not_count(seen in text(), expected in text(), size in 1_usize..5) {
        for compare in ALL {
            let wanted = plainly(&seen, &expected, compare);
            prop_assert_eq!(in_pieces(&seen, &expected, compare, size), wanted, "{:?}", compare);
            // Often the same but for its white space.
            let spread: Vec<u8> = expected.iter().flat_map(|&byte| if byte == b' ' { vec![b' ', b'\n'] } else { vec![byte] }).collect();
            let wanted = plainly(&spread, &expected, compare);
            prop_assert_eq!(in_pieces(&spread, &expected, compare, size), wanted, "{:?}", compare);
        }
    }
}
