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
pub(super) struct Accounts(HashMap<Owner, Account>);

#[derive(Debug)]
pub(super) struct Account {
    share: u32,
    waiting: Option<usize>,
    pace: Option<Pace>,
    pub(super) ceilings: StepPatches,
}

impl Accounts {
    pub(super) fn new(tokens: &[TokenEntry]) -> Self {
        let account = |token: &TokenEntry| Account {
            share: token.share.get(),
            waiting: token.waiting,
            pace: token.rate.map(Pace::new),
            ceilings: token.ceilings.clone(),
        };
        Self(tokens.iter().map(|token| (token.owner.clone(), account(token))).collect())
    }

    pub(super) fn of(&self, owner: Option<&Owner>) -> Option<&Account> {
        owner.and_then(|owner| self.0.get(owner))
    }

    /// The weight of an owner; of one that is in the file no more, that of nobody.
    pub(super) fn share(&self, owner: Option<&Owner>) -> u32 {
        self.of(owner).map_or(1, |account| account.share)
    }

    /// The part of `whole` that an owner may take up: by its share among all that there are, nobody included.
    pub(super) fn part(&self, owner: Option<&Owner>, whole: u64) -> u64 {
        if self.0.is_empty() {
            return whole;
        }
        let all = 1 + self.0.values().map(|account| u128::from(account.share)).sum::<u128>();
        u64::try_from(u128::from(whole) * u128::from(self.share(owner)) / all).unwrap_or(whole).max(1)
    }

    /// How many submissions of an owner may wait, of so many in all.
    pub(super) fn waiting(&self, owner: Option<&Owner>, whole: usize) -> usize {
        let own = self.of(owner).and_then(|account| account.waiting);
        own.unwrap_or_else(|| usize::try_from(self.part(owner, whole as u64)).unwrap_or(usize::MAX))
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
        let accounts = Accounts::new(&[token("a", 1, Some(rate))]);
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
        let accounts = Accounts::new(&[token("a", 3, None), token("b", 1, None)]);
        let [a, b] = ["a", "b"].map(Owner::named);
        for (owner, part) in [(a.as_ref(), 600), (b.as_ref(), 200), (None, 200)] {
            assert_eq!(accounts.part(owner, 1000), part);
            assert_eq!(accounts.waiting(owner, 1000), usize::try_from(part).unwrap());
        }
        // One that is in the file no more has submissions left, perhaps.
        assert_eq!(accounts.share(Owner::named("c").as_ref()), 1);
        assert_eq!(accounts.part(None, 1), 1);
        assert_eq!(Accounts::default().waiting(None, 7), 7);
    }
}
