//! A disk that fails for a while: what was answered can be read all the time, nothing is accepted meanwhile, and it goes
//! on without a restart.

use proptest::prelude::*;

use super::power::whole;
use super::*;

/// Waits until the store says that it can be written.
async fn mended(store: &DiskStore) {
    while !store.writable() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn while_the_disk_fails_nothing_is_accepted_and_everything_answered_can_be_read() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let store = disk.open_as(faulty.how()).unwrap();
    // Too large for the database's own memory together, so that they are read from the disk.
    let mut results = Vec::new();
    for _ in 0..5 {
        let new = insert(&store, "x").await;
        let ended = ended(&new, 5 << 20, RECENT);
        store.ended(Arc::clone(&ended)).await.unwrap();
        results.push(ended);
    }
    let (kept, keyed) = (insert(&store, "waits").await, new("keyed", Some("old")));
    store.insert(keyed.clone()).await.unwrap();
    for fault in [Faulty::fail_syncs, Faulty::fail_writes] {
        fault(&faulty, true);
        let refused = new("never", Some("k"));
        assert!(matches!(store.insert(refused.clone()).await, Err(StoreError::Write(_))));
        assert!(!store.writable());
        // A ledger goes on asking.
        assert!(matches!(store.ended(ended(&kept, 1, RECENT)).await, Err(StoreError::Write(_))));
        for ended in &results {
            assert_eq!(store.get(ended.id).await.unwrap().unwrap().report, ended.report);
        }
        assert_eq!(store.peek(kept.submission.id).await.unwrap().unwrap().submission.state, State::Pending);
        assert_eq!(store.job(kept.submission.id).await.unwrap(), kept.job);
        let known = Some(Inserted::Known(keyed.submission.id));
        assert_eq!(store.find(keyed.key.clone().unwrap()).await.unwrap(), known);
        for _ in 0..2 {
            // Not before it works again, and not after: there never was such a submission.
            assert!(store.peek(refused.submission.id).await.unwrap().is_none());
            assert_eq!(store.find(refused.key.clone().unwrap()).await.unwrap(), None);
            let ids: Vec<_> = store.line(0, 9).await.unwrap().iter().map(|one| one.submission.id).collect();
            assert_eq!(ids, [kept.submission.id, keyed.submission.id]);
            assert_eq!(store.inventory().await.unwrap().accepted, 7);
            fault(&faulty, false);
            mended(&store).await;
        }
    }
    store.ended(ended(&kept, 1, RECENT)).await.unwrap();
    assert!(store.get(kept.submission.id).await.unwrap().unwrap().state.ended());
    insert(&store, "x").await;
    assert_eq!(store.inventory().await.unwrap().accepted, 8);
    whole(&disk, &store).await;
}

/// What a client could not be told has not happened: an ending that may be on the disk or not is not to be seen before it
/// certainly is.
#[tokio::test]
async fn an_ending_in_doubt_is_not_shown_and_a_crash_may_undo_it() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let store = disk.open_as(faulty.how()).unwrap();
    let new = insert(&store, "x").await;
    faulty.fail_syncs(true);
    assert!(store.ended(ended(&new, 9, RECENT)).await.is_err());
    assert!(!store.get(new.submission.id).await.unwrap().unwrap().state.ended());
    disk.crash();
    // This disk has lost it; another one might have kept it.
    assert!(!disk.open().get(new.submission.id).await.unwrap().unwrap().state.ended());
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "nobody who is waited for takes it")]
async fn a_sync_that_does_not_come_back_holds_up_no_reader() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let store = disk.open_as(faulty.how()).unwrap();
    let (first, second) = (insert(&store, "x").await, new("y", None));
    let (held, own, too) = (faulty.hold_up(), Arc::clone(&store), second.clone());
    let syncs = faulty.syncs();
    let inserted = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(own.insert(too))
    });
    while faulty.syncs() == syncs {
        std::thread::yield_now();
    }
    for _ in 0..2 {
        assert_eq!(store.job(first.submission.id).await.unwrap(), first.job);
        assert!(store.peek(second.submission.id).await.unwrap().is_none());
    }
    assert!(!inserted.is_finished());
    drop(held);
    assert_eq!(inserted.join().unwrap().unwrap(), Inserted::New);
    assert!(store.peek(second.submission.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_could_not_be_read_is_opened_again() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let store = disk.open_as(faulty.how()).unwrap();
    let mut all = Vec::new();
    for _ in 0..5 {
        let new = insert(&store, "x").await;
        store.ended(ended(&new, 5 << 20, RECENT)).await.unwrap();
        all.push(new.submission.id);
    }
    faulty.fail_reads(true);
    let mut failed = 0;
    for id in &all {
        failed += usize::from(matches!(store.get(*id).await, Err(StoreError::Read(_))));
    }
    assert!(failed > 0, "all of it was in memory");
    faulty.fail_reads(false);
    // Whoever writes next has it opened, and is not sent away.
    insert(&store, "y").await;
    for id in &all {
        assert!(store.get(*id).await.unwrap().unwrap().state.ended());
    }
}

/// A disk that cannot be written is not taken for one that was.
#[tokio::test]
async fn a_start_on_a_failing_disk_says_so() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    insert(&disk.open(), "x").await;
    // Not closed in order, so that opening it has something to write.
    disk.crash();
    faulty.fail_writes(true);
    let why = disk.open_as(faulty.how()).expect_err("opened").to_string();
    assert!(why.starts_with("cannot write "), "{why}");
    faulty.fail_writes(false);
    assert_eq!(disk.open_as(faulty.how()).unwrap().inventory().await.unwrap().accepted, 1);
}

/// Does it until the store takes it; how often it did not.
async fn until_taken<T>(store: &DiskStore, ask: impl AsyncFn() -> Result<T, StoreError>) -> usize {
    let mut refused = 0;
    while let Err(error) = ask().await {
        assert!(matches!(error, StoreError::Write(_)), "{error}");
        refused += 1;
        mended(store).await;
    }
    refused
}

/// One life of a store, in which `fail` writes or syncs fail after so many that `work`; whether it came to that.
async fn life(works: usize, fail: usize) -> bool {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let retention = Retention { bytes: Bytes::mib(1), ..KEEP };
    let store = disk.open_as(How { retention, ..faulty.how() }).unwrap();
    faulty.fail_after(works, fail);
    let (mut waiting, mut accepted, mut refused) = (Vec::new(), 0, 0);
    for round in 0..4_usize {
        let (first, second) = (new("x", None), new(&"y".repeat(round * 90_000), None));
        for one in [&first, &second] {
            refused += until_taken(&store, async || store.insert(one.clone()).await).await;
            accepted += 1;
        }
        let ended = ended(&first, round * 70_000, RECENT);
        refused += until_taken(&store, async || store.ended(Arc::clone(&ended)).await).await;
        waiting.push(second.submission.id);
        // Whatever failed, this is how it stands.
        let kept = store.get(ended.id).await.unwrap().unwrap();
        assert_eq!((&kept.report, kept.completed_at), (&ended.report, ended.completed_at));
        let line: Vec<_> = store.line(0, 99).await.unwrap().iter().map(|one| one.submission.id).collect();
        assert_eq!(line, waiting);
        assert_eq!(store.inventory().await.unwrap().accepted, accepted);
    }
    let failed = faulty.has_failed();
    assert_eq!(refused > 0, failed, "{works}");
    mended(&store).await;
    faulty.fail_after(usize::MAX, 0);
    whole(&disk, &store).await;
    failed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1, ..ProptestConfig::default() })]
    /// At every write and every sync, once and several times in a row.
    #[test]
    fn a_failure_at_any_write_loses_nothing(fail in 1..4_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut works = 0;
            while life(works, fail).await {
                works += 1;
            }
            assert!(works > 30, "{works} writes and syncs");
        });
    }
}

#[tokio::test]
async fn without_room_nothing_is_accepted_and_what_runs_still_ends() {
    let mut disk = Disk::new();
    let how = How { reserve: Bytes(u64::MAX / 2), ..how() };
    let kept = insert(&disk.open(), "x").await;
    disk.crash();
    let store = disk.open_as(how).unwrap();
    assert!(matches!(store.insert(new("x", None)).await, Err(StoreError::Write(_))));
    assert!(!store.writable());
    assert_eq!(store.inventory().await.unwrap().accepted, 1);
    store.ended(ended(&kept, 1, RECENT)).await.unwrap();
    assert_eq!(store.peek(kept.submission.id).await.unwrap().unwrap().submission.state, State::Completed);
}
