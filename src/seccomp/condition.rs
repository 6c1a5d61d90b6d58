//! A condition on one argument of a system call, and how two sets of conditions stand to each other. The kernel compares
//! unsigned words of 64 bits, whatever the type of the argument (seccomp(2)).

use oci_spec::OciSpecError;
use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The bits of `mask` are those of `value`.
    Is { index: usize, mask: u64, value: u64 },
    /// The whole argument is anything but `value`.
    IsNot { index: usize, value: u64 },
}

impl Condition {
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Is { index, .. } | Self::IsNot { index, .. } => index,
        }
    }

    /// Whether no argument at all fulfils it.
    pub(super) const fn never_holds(self) -> bool {
        matches!(self, Self::Is { mask, value, .. } if value & !mask != 0)
    }

    /// Whether no argument fulfils both.
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Is { mask: a, value: x, .. }, Self::Is { mask: b, value: y, .. }) => (x ^ y) & a & b != 0,
            (Self::Is { mask, value: x, .. }, Self::IsNot { value: y, .. })
            | (Self::IsNot { value: y, .. }, Self::Is { mask, value: x, .. }) => mask == u64::MAX && x == y,
            (Self::IsNot { .. }, Self::IsNot { .. }) => false,
        }
    }

    /// Whether every argument that fulfils `other` fulfils this one.
    fn follows_from(self, other: Self) -> bool {
        match (self, other) {
            (Self::Is { mask: a, value: x, .. }, Self::Is { mask: b, value: y, .. }) => a & !b == 0 && y & a == x,
            (Self::IsNot { value: x, .. }, Self::Is { mask, value: y, .. }) => x & mask != y,
            (Self::IsNot { value: x, .. }, Self::IsNot { value: y, .. }) => x == y,
            (Self::Is { mask, .. }, Self::IsNot { .. }) => mask == 0,
        }
    }

    pub(super) fn to_oci(self) -> Result<LinuxSeccompArg, OciSpecError> {
        let built = LinuxSeccompArgBuilder::default().index(self.index());
        match self {
            Self::Is { mask: u64::MAX, value, .. } => built.value(value).op(LinuxSeccompOperator::ScmpCmpEq).build(),
            // SCMP_CMP_MASKED_EQ: `value` is the mask, `value_two` what has to be left (seccomp_rule_add(3)).
            Self::Is { mask, value, .. } => {
                built.value(mask).value_two(value).op(LinuxSeccompOperator::ScmpCmpMaskedEq).build()
            }
            Self::IsNot { value, .. } => built.value(value).op(LinuxSeccompOperator::ScmpCmpNe).build(),
        }
    }
}

/// As few conditions as say the same, where each holds alone: two that differ in one bit become one that does not look
/// at it. Every rule costs the runtime time at each launch, while it compiles the filter.
pub(super) fn merged(mut conditions: Vec<Condition>) -> Vec<Condition> {
    while let Some((at, other, one)) = first_pair(&conditions) {
        conditions.remove(other);
        conditions[at] = one;
    }
    conditions
}

/// The places of two that one can replace, the earlier one first, and that one.
fn first_pair(conditions: &[Condition]) -> Option<(usize, usize, Condition)> {
    let pairs = (0..conditions.len()).flat_map(|at| (at + 1..conditions.len()).map(move |other| (at, other)));
    let both = |at: usize, other: usize| match (conditions[at], conditions[other]) {
        (Condition::Is { index, mask, value }, Condition::Is { index: same, mask: there, value: second })
            if index == same && mask == there && (value ^ second).is_power_of_two() =>
        {
            let bit = value ^ second;
            Some(Condition::Is { index, mask: mask & !bit, value: value & !bit })
        }
        _ => None,
    };
    pairs.filter_map(|(at, other)| both(at, other).map(|one| (at, other, one))).next()
}

/// Whether no call fulfils both sets.
pub(super) fn disjoint(one: &[Condition], other: &[Condition]) -> bool {
    let same = |a: Condition| other.iter().filter(move |b| b.index() == a.index());
    one.iter().any(|&a| same(a).any(|&b| a.excludes(b)))
}

/// Whether every call that fulfils `other` fulfils `one`.
pub(super) fn covers(one: &[Condition], other: &[Condition]) -> bool {
    one.iter().all(|&a| other.iter().any(|&b| b.index() == a.index() && a.follows_from(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn is(mask: u64, value: u64) -> Condition {
        Condition::Is { index: 0, mask, value }
    }

    const fn not(value: u64) -> Condition {
        Condition::IsNot { index: 0, value }
    }

    impl Condition {
        fn holds(self, argument: u64) -> bool {
            match self {
                Self::Is { mask, value, .. } => argument & mask == value,
                Self::IsNot { value, .. } => argument != value,
            }
        }
    }

    /// What is claimed of two conditions is what trying all small arguments, and some with high bits, shows.
    #[test]
    fn what_is_claimed_of_two_conditions_is_true_of_every_argument() {
        let arguments: Vec<u64> = (0..16).flat_map(|low| [low, low | 1 << 32, low | !15]).collect();
        let masked = (0..16).flat_map(|mask| (0..16).filter(move |v| v & !mask == 0).map(move |v| is(mask, v)));
        let whole = (0..16).flat_map(|v| [is(u64::MAX, v), not(v)]);
        let all: Vec<Condition> = masked.chain(whole).collect();
        for &a in &all {
            for &b in &all {
                let both = arguments.iter().any(|&x| a.holds(x) && b.holds(x));
                let beyond = arguments.iter().any(|&x| b.holds(x) && !a.holds(x));
                assert_eq!(disjoint(&[a], &[b]), !both, "{a:?} {b:?}");
                assert_eq!(covers(&[a], &[b]), !beyond, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn merging_changes_nothing_but_the_number() {
        // Every set of values below 8: as bits of a number.
        for set in 0_u64..256 {
            let values: Vec<u64> = (0..8).filter(|value| set >> value & 1 == 1).collect();
            let few = merged(values.iter().map(|&value| is(7, value)).collect());
            for argument in (0..16).chain([1 << 32]) {
                let holds = few.iter().any(|condition| condition.holds(argument));
                assert_eq!(holds, values.contains(&(argument & 7)), "{values:?} became {few:?}");
            }
        }
        assert_eq!(merged((0..8).map(|value| is(u64::MAX, value)).collect()), [is(!7, 0)]);
        assert_eq!(merged(vec![is(7, 1), is(7, 1), is(3, 0), not(3)]).len(), 4, "these are no two of one kind");
    }

    #[test]
    fn sets_are_compared_argument_by_argument() {
        let second = |value| Condition::Is { index: 1, mask: u64::MAX, value };
        assert!(disjoint(&[is(1, 1), second(1)], &[is(1, 1), second(2)]));
        assert!(!disjoint(&[is(1, 1)], &[second(2)]));
        assert!(covers(&[], &[second(2)]) && !covers(&[second(2)], &[]));
        assert!(covers(&[second(2)], &[is(1, 1), second(2)]) && !covers(&[is(1, 1), second(2)], &[second(2)]));
    }
}
