//! Kill points around every write of every commit, and a power cut there: what was synced is on the disk, of what was
//! written since any part. Whatever is left must open, hold all that was answered, and hold nothing by halves.

use std::sync::Mutex;

use proptest::prelude::*;
use redb::backends::FileBackend;
use redb::{Builder, DatabaseError, ReadableTable, ReadableTableMetadata, StorageBackend};

use super::super::tables::{ACCEPTED, KEPT, Tables, WAITING};
use super::*;

/// What was done to the file, in order.
#[derive(Clone, Debug)]
enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

type Log = Arc<Mutex<Vec<Done>>>;

#[derive(Debug)]
struct Recorder {
    file: FileBackend,
    log: Log,
}

impl Recorder {
    fn note(&self, done: Done) {
        self.log.lock().unwrap().push(done);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.note(Done::Length(len));
        self.file.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.note(Done::Sync);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.note(Done::Write(offset, data.to_vec()));
        self.file.write(offset, data)
    }
    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }
}

/// A file's life: how it was when it was opened, what was done to it, and what had been answered by when.
#[derive(Debug)]
struct Life {
    before: Vec<u8>,
    log: Vec<Done>,
    /// After so many entries of the log this was true for ever after.
    answered: Vec<(usize, Fact)>,
}

#[derive(Clone, Debug)]
enum Fact {
    Accepted(JobId),
    Ended(Arc<Submission>),
}

async fn live() -> Life {
    let mut disk = Disk::new();
    disk.open().close().await.unwrap();
    let before = fs::read(disk.file()).unwrap();
    let log = Log::default();
    let own = Arc::clone(&log);
    let opener = move |path: &Path| -> Result<Box<dyn StorageBackend>, DatabaseError> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(Recorder { file: FileBackend::new(file)?, log: Arc::clone(&own) }))
    };
    let mut answered = Vec::new();
    let mut fact = |fact| answered.push((log.lock().unwrap().len(), fact));
    let retention = Retention { bytes: Bytes::mib(1), ..KEEP };
    let store = disk.open_as(How { opener: Arc::new(opener), retention, ..how() }).unwrap();
    store.begin(2).await.unwrap();
    for round in 0..3_usize {
        // Small and large ones, so that the file grows.
        let (first, second) = (insert(&store, "x").await, insert(&store, &"y".repeat(round * 90_000)).await);
        fact(Fact::Accepted(first.submission.id));
        fact(Fact::Accepted(second.submission.id));
        store.started(Start { id: first.submission.id, at: SystemTime::now(), attempt: 1 }, true).await.unwrap();
        let ended = ended(&first, round * 70_000, RECENT);
        store.ended(Arc::clone(&ended)).await.unwrap();
        fact(Fact::Ended(ended));
        store.put_back(second.submission.id, 1).await.unwrap();
    }
    store.close().await.unwrap();
    let log = log.lock().unwrap().clone();
    Life { before, log, answered }
}

impl Life {
    /// The file after a power cut at entry `cut`. `luck` says of each later write whether it got to the disk, and how much.
    fn cut(&self, cut: usize, luck: &[u8]) -> Vec<u8> {
        let synced = self.log[..cut].iter().rposition(|done| matches!(done, Done::Sync)).unwrap_or(0);
        let mut file = self.before.clone();
        for (at, done) in self.log[..cut].iter().enumerate() {
            let luck = if at < synced { 0 } else { luck[at % luck.len()] % 4 };
            match done {
                Done::Length(length) => file.resize(usize::try_from(*length).unwrap(), 0),
                Done::Write(offset, data) => {
                    let kept = match luck {
                        0 | 1 => data.len(),
                        // The file system writes pages, each wholly or not.
                        2 => (data.len() / 2) & !4095,
                        _ => 0,
                    };
                    let offset = usize::try_from(*offset).unwrap();
                    file[offset..offset + kept].copy_from_slice(&data[..kept]);
                }
                Done::Sync => {}
            }
        }
        file
    }

    /// Opens what is left and looks at all of it.
    async fn check(&self, cut: usize, luck: &[u8]) {
        let mut disk = Disk::new();
        fs::create_dir(disk.path()).unwrap();
        fs::write(disk.file(), self.cut(cut, luck)).unwrap();
        let store = disk.open_as(how()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        for (_, fact) in self.answered.iter().filter(|(when, _)| *when <= cut) {
            match fact {
                Fact::Accepted(id) => assert!(store.get(*id).await.unwrap().is_some(), "cut at {cut}: lost"),
                Fact::Ended(ended) => {
                    let kept = store.get(ended.id).await.unwrap().unwrap();
                    assert_eq!((&kept.report, kept.completed_at), (&ended.report, ended.completed_at), "cut at {cut}");
                }
            }
        }
        whole(&disk, &store).await;
    }
}

/// Closes it; whether all tables fit together and every value can be read.
pub(super) async fn whole(disk: &Disk, store: &DiskStore) {
    let ids: Vec<_> = {
        let snapshot = store.shared.snapshot().unwrap();
        let table = snapshot.0.open_table(tables::SUBMISSIONS).unwrap();
        table.iter().unwrap().map(|entry| JobId::of(entry.unwrap().0.value())).collect()
    };
    for id in ids {
        if !store.get(id).await.unwrap().unwrap().state.ended() {
            store.job(id).await.unwrap();
        }
    }
    store.close().await.unwrap();
    let database = Builder::new().open(disk.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let (mut ids, mut unended, mut waiting, mut kept) = (Vec::new(), 0, 0, 0);
    {
        let tables = Tables::open(&transaction).unwrap();
        for entry in tables.submissions.iter().unwrap() {
            let id = JobId::of(entry.unwrap().0.value());
            let record = tables.record(id).unwrap().unwrap().unwrap();
            ids.push(id);
            if record.state.ended() {
                let beside = change::beside(encode(&record).unwrap().len(), &record);
                kept += record.bytes + beside;
            } else {
                assert_eq!(tables.line.get(record.place).unwrap().unwrap().value(), id.number());
                unended += 1;
                waiting += record.size;
            }
        }
        assert_eq!(tables.line.len().unwrap(), unended);
        assert_eq!(tables.ended.len().unwrap(), ids.len() as u64 - unended);
        let numbers = [ACCEPTED, WAITING, KEPT].map(|name| tables.number(name).unwrap());
        assert_eq!(numbers, [ids.len() as u64, waiting, kept]);
    }
    transaction.abort().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1, ..ProptestConfig::default() })]
    #[test]
    fn a_power_cut_at_any_write_loses_nothing_that_was_answered(luck in proptest::collection::vec(any::<u8>(), 31)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let life = live().await;
            assert!(life.log.len() > 40, "{} writes and syncs", life.log.len());
            for cut in 0..=life.log.len() {
                // A kill alone, after which the system still writes everything; and a cut of the power.
                life.check(cut, &[0]).await;
                life.check(cut, &luck).await;
            }
        });
    }
}
