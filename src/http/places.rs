//! The places for connections. When all are taken and another client comes, whoever has kept us waiting for the longest
//! loses his: silent and slow connections keep nobody out. Who is being worked for is never sent away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a connection waits for its client to do. Those of the first kind are sent away before those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waits {
    /// To begin a request.
    Idle,
    /// To finish a request's head.
    Head,
    /// To finish a request's body.
    Body,
    /// For nothing: it is the client who waits for what happens to a submission, and can come back to where he was.
    Events,
    /// For nothing: it is the client who waits for the end of a submission.
    End,
    /// To take a reply.
    Reply,
}

/// A fixed number of places.
#[derive(Debug)]
pub struct Places {
    most: usize,
    inner: Mutex<Inner>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    taken: usize,
    /// New connections that wait for a place.
    wanted: usize,
    /// Connections that were told to go and are not gone yet.
    going: usize,
    /// Counts the waits: of two of one kind, the smaller number has waited longer.
    turn: u64,
    waiting: BTreeMap<(Waits, u64), Arc<Gone>>,
}

/// Whether a connection is to end, and whether it is this room that said so.
#[derive(Debug, Default)]
struct Gone {
    token: CancellationToken,
    counted: AtomicBool,
}

impl Inner {
    /// Sends one away, unless as many are going already as are wanted.
    fn make_room(&mut self) {
        if self.going < self.wanted
            && let Some((_, seat)) = self.waiting.pop_first()
        {
            self.going += 1;
            seat.counted.store(true, Ordering::Relaxed);
            seat.token.cancel();
        }
    }
}

impl Places {
    /// This many, all free.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, inner: Mutex::default(), freed: Notify::new() })
    }

    /// A place, if need be after somebody was sent away for it.
    pub async fn take(self: &Arc<Self>) -> Seat {
        let mut wanted = Wanted { places: self, counted: false };
        loop {
            let freed = self.freed.notified();
            {
                let mut inner = self.lock();
                if inner.taken < self.most {
                    inner.taken += 1;
                    return Seat { places: Arc::clone(self), wait: Mutex::default(), gone: Arc::default() };
                }
                inner.wanted += usize::from(!wanted.counted);
                wanted.counted = true;
                inner.make_room();
            }
            freed.await;
        }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wish for a place, while it lasts.
struct Wanted<'a> {
    places: &'a Places,
    counted: bool,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.places.lock().wanted -= 1;
        }
    }
}

/// A connection's place, given back on drop.
#[derive(Debug)]
pub struct Seat {
    places: Arc<Places>,
    wait: Mutex<Option<(Waits, u64)>>,
    gone: Arc<Gone>,
}

impl Seat {
    /// From now on the client is waited for; the wait begins anew with each call.
    pub fn waits(&self, what: Waits) {
        self.change(Some(what));
    }

    /// From now on the client waits for us.
    pub fn works(&self) {
        self.change(None);
    }

    /// Fires when the connection is to end for the sake of others.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone.token
    }

    /// What it waits for, or waited for when it was sent away.
    pub fn waiting(&self) -> Option<Waits> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner).map(|(what, _)| what)
    }

    fn change(&self, what: Option<Waits>) {
        let mut wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.places.lock();
        if let Some(old) = wait.take() {
            inner.waiting.remove(&old);
        }
        if let Some(what) = what
            && !self.gone.token.is_cancelled()
        {
            inner.turn += 1;
            let key = (what, inner.turn);
            inner.waiting.insert(key, Arc::clone(&self.gone));
            *wait = Some(key);
            inner.make_room();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.change(None);
        let mut inner = self.places.lock();
        inner.taken -= 1;
        inner.going -= usize::from(self.gone.counted.load(Ordering::Relaxed));
        drop(inner);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_who_keeps_us_waiting_for_the_longest_goes_first() {
        let places = Places::new(4);
        let mut seats = Vec::new();
        for _ in 0..4 {
            seats.push(places.take().await);
        }
        for (seat, what) in seats.iter().zip([Waits::Body, Waits::Idle, Waits::Head, Waits::Idle]) {
            seat.waits(what);
        }
        // Begun anew: now the fourth is the older of the idle ones.
        seats[1].waits(Waits::Idle);
        for expected in [3, 1, 2, 0] {
            let next = tokio::spawn({
                let places = Arc::clone(&places);
                async move { places.take().await }
            });
            seats[expected].gone().cancelled().await;
            let gone: Vec<_> = seats.iter().map(|seat| seat.gone().is_cancelled()).collect();
            seats[expected] = Places::new(1).take().await;
            let taken = next.await.unwrap();
            assert_eq!(gone.iter().filter(|gone| **gone).count(), 1, "{expected}: {gone:?}");
            // The newcomer is worked for, so that nobody sends it away.
            std::mem::forget(taken);
        }
    }

    #[tokio::test]
    async fn who_is_worked_for_stays_until_it_waits_again() {
        let places = Places::new(1);
        let seat = places.take().await;
        let next = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        assert!(!seat.gone().is_cancelled());
        seat.waits(Waits::Reply);
        assert!(seat.gone().is_cancelled());
        drop(seat);
        next.await.unwrap();
        let inner = places.lock();
        assert_eq!((inner.taken, inner.wanted, inner.going, inner.waiting.len()), (0, 0, 0, 0));
    }
}
