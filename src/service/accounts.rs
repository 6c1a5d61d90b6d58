//! What each token may: how fast it submits, its part of what waits, its ceilings. Those without a token are one more, with
//! a share of one; where there are no tokens at all, everything is theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Rate, StepPatches, TokenEntry};
use crate::model::Owner;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    tokens: HashMap<Owner, Account>,
    /// Nobody can submit without one of them.
    alone: bool,
}

#[derive(Debug)]
pub(super) struct Account {
    share: u32,
    waiting: Option<usize>,
    pace: Option<Pace>,
    pub(super) ceilings: StepPatches,
}

impl Accounts {
    /// Where the tokens are `alone` nobody can submit without one, and has no part.
    pub(super) fn new(tokens: &[TokenEntry], alone: bool) -> Self {
        let account = |token: &TokenEntry| Account {
            share: token.share.get(),
            waiting: token.waiting,
            pace: token.rate.map(Pace::new),
            ceilings: token.ceilings.clone(),
        };
        Self { tokens: tokens.iter().map(|token| (token.owner.clone(), account(token))).collect(), alone }
    }

    /// Whether there are tokens.
    pub(super) fn are_several(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) fn of(&self, owner: Option<&Owner>) -> Option<&Account> {
        owner.and_then(|owner| self.tokens.get(owner))
    }

    /// The weight of an owner; of one that is in the file no more, that of nobody.
    pub(super) fn share(&self, owner: Option<&Owner>) -> u32 {
        self.of(owner).map_or(1, |account| account.share)
    }

    /// The part of `whole` that an owner may take up: by its share among all that can submit, but at least one.
    pub(super) fn part(&self, owner: Option<&Owner>, whole: u64) -> u64 {
        if self.tokens.is_empty() {
            return whole;
        }
        let shares = self.tokens.values().map(|account| u128::from(account.share)).sum::<u128>();
        let all = shares + u128::from(!self.alone);
        u64::try_from(u128::from(whole) * u128::from(self.share(owner)) / all).unwrap_or(whole).max(1)
    }

    /// How many submissions of an owner may wait, of so many in all.
    pub(super) fn waiting(&self, owner: Option<&Owner>, whole: usize) -> usize {
        let own = self.of(owner).and_then(|account| account.waiting);
        own.unwrap_or_else(|| usize::try_from(self.part(owner, whole as u64)).unwrap_or(usize::MAX))
    }

    /// How many may wait of all owners together, where that is more than there is room for: then one can be refused for what
    /// the others have waiting.
    pub(super) fn too_many(&self, whole: usize) -> Option<usize> {
        let owners = self.tokens.keys().map(Some).chain((!self.alone).then_some(None));
        let all = owners.map(|owner| self.waiting(owner, whole)).fold(0, usize::saturating_add);
        (all > whole).then_some(all)
    }

    /// Counts one submission at this moment.
    ///
    /// # Errors
    /// When it comes too soon: after which time it would not.
    pub(super) fn step(&self, owner: Option<&Owner>, now: Instant) -> Result<(), Duration> {
        self.of(owner).and_then(|account| account.pace.as_ref()).map_or(Ok(()), |pace| pace.step(now))
    }
}

/// A rate with a burst, as a moment (the generic cell rate algorithm, ITU-T I.371): when as much will have passed as was
/// submitted.
#[derive(Debug)]
struct Pace {
    every: Duration,
    /// How far ahead the moment may be.
    ahead: Duration,
    until: Mutex<Option<Instant>>,
}

impl Pace {
    fn new(Rate { every, burst }: Rate) -> Self {
        Self { every, ahead: every.saturating_mul(burst.saturating_sub(1)), until: Mutex::default() }
    }

    fn step(&self, now: Instant) -> Result<(), Duration> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = until.unwrap_or(now).max(now);
        let early = begins.duration_since(now).saturating_sub(self.ahead);
        if !early.is_zero() {
            return Err(early);
        }
        *until = Some(begins + self.every);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::model::TokenDigest;

    fn token(name: &str, share: u32, rate: Option<Rate>) -> TokenEntry {
        let (owner, share) = (Owner::named(name).unwrap(), NonZeroU32::new(share).unwrap());
        let ceilings = StepPatches::default();
        TokenEntry { owner, digest: TokenDigest::of(name.as_bytes()), rate, share, waiting: None, ceilings }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let rate = Rate { every: Duration::from_millis(100), burst: 3 };
        let accounts = Accounts::new(&[token("a", 1, Some(rate))], false);
        let owner = Owner::named("a");
        let step = || accounts.step(owner.as_ref(), Instant::now());
        assert_eq!([step(), step(), step()], [Ok(()); 3]);
        assert_eq!(step(), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(step(), Err(Duration::from_millis(40)));
        // What was refused does not count.
        tokio::time::advance(Duration::from_millis(40)).await;
        assert_eq!((step(), step()), (Ok(()), Err(Duration::from_millis(100))));
        // No more is saved up than one burst.
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..9).filter(|_| step().is_ok()).count(), 3);
        assert_eq!((0..9).filter(|_| accounts.step(None, Instant::now()).is_ok()).count(), 9);
    }

    #[test]
    fn parts_go_by_shares_and_the_whole_is_there_where_there_are_no_tokens() {
        let accounts = Accounts::new(&[token("a", 3, None), token("b", 1, None)], false);
        let [a, b] = ["a", "b"].map(Owner::named);
        for (owner, part) in [(a.as_ref(), 600), (b.as_ref(), 200), (None, 200)] {
            assert_eq!(accounts.part(owner, 1000), part);
            assert_eq!(accounts.waiting(owner, 1000), usize::try_from(part).unwrap());
        }
        // One that is in the file no more has submissions left, perhaps.
        assert_eq!(accounts.share(Owner::named("c").as_ref()), 1);
        assert_eq!(accounts.part(None, 1), 1);
        assert_eq!(Accounts::default().waiting(None, 7), 7);
        // Where nobody comes without a token nothing is kept for him.
        let accounts = Accounts::new(&[token("a", 3, None), token("b", 1, None)], true);
        assert_eq!((accounts.part(a.as_ref(), 1000), accounts.part(b.as_ref(), 1000)), (750, 250));
    }

    #[test]
    fn parts_that_are_more_than_the_whole_are_noticed() {
        let (a, b) = (token("a", 3, None), token("b", 1, None));
        let accounts = |tokens: &[TokenEntry], alone| Accounts::new(tokens, alone);
        let both = [a.clone(), b.clone()];
        assert_eq!([5, 7, 1000].map(|whole| accounts(&both, false).too_many(whole)), [None; 3]);
        // A fifth each, and three fifths: of 1000 that is 400 without `a`.
        let said = |waiting| [TokenEntry { waiting: Some(waiting), ..a.clone() }, b.clone()];
        assert_eq!(accounts(&said(600), false).too_many(1000), None);
        assert_eq!(accounts(&said(601), false).too_many(1000), Some(1001));
        assert_eq!(accounts(&said(750), true).too_many(1000), None);
        // More tokens than places: each has one all the same.
        assert_eq!((accounts(&both, false).too_many(2), accounts(&both, true).too_many(2)), (Some(3), None));
        assert_eq!(Accounts::default().too_many(1), None);
    }
}
