//! Memory that many clients share: what is held of their bodies, or for their results. It is bounded. Who finds it full
//! waits, the oldest first; meanwhile those who send or take more slowly than they must are sent away, and where nobody
//! could go on, the youngest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// What a client is given before its rate is looked at. Shorter where time itself is tested.
const GRACE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1000 });

/// How often somebody who waits looks for the slow.
const LOOK: Duration = Duration::from_millis(50);

/// A number of bytes that can be held.
#[derive(Debug)]
pub struct Room {
    bytes: u64,
    /// Bytes in a second.
    rate: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    held: u64,
    next: u64,
    guests: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    held: u64,
    /// More that it waits for; 0 when it does not.
    wants: u64,
    /// What its client has sent or taken.
    moved: u64,
    /// Since when its client could have moved that, the time that it waited for us taken off.
    since: Instant,
    wake: Arc<Notify>,
    gone: CancellationToken,
    /// It was sent away and holds something still.
    going: bool,
}

impl Entry {
    fn late(&self, rate: u64) -> bool {
        let time = self.since.elapsed().saturating_sub(GRACE);
        self.held > 0 && self.wants == 0 && u128::from(self.moved) * 1000 < u128::from(rate) * time.as_millis()
    }

    fn send_away(&mut self) {
        self.going = true;
        self.gone.cancel();
        self.wake.notify_one();
    }
}

/// The room was full for too long, or the guest was sent away.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Room {
    /// Room for `bytes`; clients must move `rate` bytes a second while others wait.
    pub fn new(bytes: u64, rate: u64) -> Arc<Self> {
        Arc::new(Self { bytes, rate, inner: Mutex::default() })
    }

    /// What is held.
    pub fn held(&self) -> u64 {
        self.lock().held
    }

    /// A guest that holds nothing yet. `gone` is fired when it is sent away.
    pub fn enter(self: &Arc<Self>, gone: &CancellationToken) -> Guest {
        let wake = Arc::new(Notify::new());
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        let entry = Entry {
            held: 0,
            wants: 0,
            moved: 0,
            since: Instant::now(),
            wake: Arc::clone(&wake),
            gone: gone.clone(),
            going: false,
        };
        inner.guests.insert(number, entry);
        Guest { room: Arc::clone(self), number, wake }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `number` what it wants, or sends others away for it. `None` is wait and ask again.
    fn try_grow(&self, number: u64) -> Option<Result<(), Full>> {
        let mut inner = self.lock();
        let first = inner.guests.iter().find(|(_, guest)| guest.wants > 0).map(|(number, _)| *number);
        let free = self.bytes - inner.held;
        let guest = inner.guests.get_mut(&number)?;
        if guest.going {
            return Some(Err(Full));
        }
        let wants = guest.wants;
        if wants == 0 {
            return Some(Ok(()));
        }
        if first == Some(number) && wants <= free {
            guest.held += wants;
            guest.wants = 0;
            inner.held += wants;
            inner.wake_next();
            return Some(Ok(()));
        }
        if first == Some(number) {
            inner.make_room(self.rate, number, wants - free);
        }
        None
    }
}

impl Inner {
    /// Sends guests away until `lacking` bytes are on their way to be free.
    fn make_room(&mut self, rate: u64, number: u64, lacking: u64) {
        let mut coming: u64 = self.guests.values().filter(|guest| guest.going).map(|guest| guest.held).sum();
        for guest in self.guests.values_mut() {
            if coming >= lacking {
                return;
            }
            if !guest.going && guest.late(rate) {
                guest.send_away();
                coming += guest.held;
            }
        }
        let stuck = self.guests.values().all(|guest| guest.held == 0 || guest.wants > 0);
        if stuck && coming < lacking {
            let youngest = self.guests.iter_mut().rev().find(|(other, guest)| **other != number && guest.held > 0);
            if let Some((_, guest)) = youngest {
                guest.send_away();
            }
        }
    }

    fn wake_next(&self) {
        if let Some(guest) = self.guests.values().find(|guest| guest.wants > 0) {
            guest.wake.notify_one();
        }
    }
}

/// Somebody who holds a part of the room, until it is dropped.
#[derive(Debug)]
pub struct Guest {
    room: Arc<Room>,
    number: u64,
    wake: Arc<Notify>,
}

impl Guest {
    /// Holds `bytes` more, after waiting for them for `patience` at most. More than the whole room is the whole room.
    ///
    /// # Errors
    /// [`Full`]. What was held before stays held.
    pub async fn grow(&self, bytes: u64, patience: Duration) -> Result<(), Full> {
        let began = Instant::now();
        self.change(|guest, room| guest.wants = bytes.min(room - guest.held));
        let grown = timeout(patience, async {
            loop {
                if let Some(answer) = self.room.try_grow(self.number) {
                    return answer;
                }
                // Woken when something was given back; looks for the slow by itself.
                let _ = timeout(LOOK, self.wake.notified()).await;
            }
        });
        let grown = grown.await.unwrap_or(Err(Full));
        self.change(|guest, _| {
            guest.wants = 0;
            guest.since += began.elapsed();
        });
        if grown.is_err() {
            self.room.lock().wake_next();
        }
        grown
    }

    /// Its client sent or took this much.
    pub fn moved(&self, bytes: u64) {
        self.change(|guest, _| guest.moved += bytes);
    }

    fn change(&self, change: impl FnOnce(&mut Entry, u64)) {
        if let Some(guest) = self.room.lock().guests.get_mut(&self.number) {
            change(guest, self.room.bytes);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inner = self.room.lock();
        if let Some(guest) = inner.guests.remove(&self.number) {
            inner.held -= guest.held;
        }
        inner.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn token() -> CancellationToken {
        CancellationToken::new()
    }

    #[tokio::test]
    async fn who_finds_it_full_waits_for_who_leaves_the_oldest_first() {
        let room = Room::new(100, 0);
        let first = room.enter(&token());
        first.grow(80, LONG).await.unwrap();
        assert_eq!(room.enter(&token()).grow(30, LOOK * 2).await, Err(Full));
        let (second, third) = (room.enter(&token()), room.enter(&token()));
        let order = Mutex::new(Vec::new());
        let enter = async |guest: &Guest, bytes, name| {
            guest.grow(bytes, LONG).await.unwrap();
            order.lock().unwrap().push(name);
        };
        tokio::join!(enter(&second, 70, "second"), enter(&third, 10, "third"), async {
            // The third would fit, but does not overtake, however often it looks.
            tokio::time::sleep(LOOK * 3).await;
            assert!(order.lock().unwrap().is_empty());
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), ["second", "third"]);
        assert_eq!(room.lock().held, 80);
    }

    #[tokio::test]
    async fn the_slow_go_when_others_wait_and_only_then() {
        let room = Room::new(100, 1000);
        let tokens = [token(), token()];
        let [slow, quick] = [&tokens[0], &tokens[1]].map(|token| room.enter(token));
        for guest in [&slow, &quick] {
            guest.grow(50, LONG).await.unwrap();
        }
        tokio::time::sleep(GRACE * 3).await;
        quick.moved(1_000_000);
        slow.moved(10);
        assert!(!tokens[0].is_cancelled());
        let third = room.enter(&token());
        tokio::join!(async { third.grow(50, LONG).await.unwrap() }, async {
            tokens[0].cancelled().await;
            drop(slow);
        });
        assert!(!tokens[1].is_cancelled());
    }

    #[tokio::test]
    async fn where_nobody_could_go_on_the_youngest_goes() {
        let room = Room::new(100, 1);
        let (old, young) = (room.enter(&token()), room.enter(&token()));
        old.grow(60, LONG).await.unwrap();
        young.grow(40, LONG).await.unwrap();
        let (first, second) = tokio::join!(old.grow(30, LONG), async {
            let refused = young.grow(10, LONG).await;
            drop(young);
            refused
        });
        assert_eq!((first, second), (Ok(()), Err(Full)));
    }

    #[tokio::test]
    async fn more_than_there_is_is_all_there_is_and_time_spent_waiting_for_us_is_not_the_clients() {
        let room = Room::new(100, 1000);
        let first = room.enter(&token());
        first.grow(1000, LONG).await.unwrap();
        first.grow(1000, LONG).await.unwrap();
        assert_eq!(room.lock().held, 100);
        let patient = token();
        let second = room.enter(&patient);
        tokio::join!(async { second.grow(100, LONG).await.unwrap() }, async {
            first.moved(1_000_000);
            tokio::time::sleep(GRACE * 3).await;
            drop(first);
        });
        let third = room.enter(&token());
        assert_eq!(third.grow(1, GRACE / 2).await, Err(Full));
        assert!(!patient.is_cancelled());
    }
}
