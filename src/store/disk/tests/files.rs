//! What is not opened: a file in use, newer, damaged. And an older one, which is brought up.

use redb::{Builder, ReadableTable, TableDefinition, WriteTransaction};

use super::super::tables::{ARRIVALS, FORMAT, META, SUBMISSIONS};
use super::super::upgrade::{Format, format, upgrade};
use super::*;

/// A closed store with one ended and one waiting submission.
async fn closed() -> (Disk, New, New) {
    let mut disk = Disk::new();
    let store = disk.open();
    let (first, second) = (insert(&store, "x").await, insert(&store, "y").await);
    store.ended(ended(&first, 300_000, RECENT)).await.unwrap();
    store.close().await.unwrap();
    (disk, first, second)
}

fn refusal(disk: &mut Disk) -> String {
    disk.open_as(how()).expect_err("opened").to_string()
}

#[tokio::test]
async fn a_second_service_is_told_that_the_store_is_in_use() {
    let mut disk = Disk::new();
    let store = disk.open();
    let why = refusal(&mut disk);
    assert!(why.contains("in use by another casemate") && why.contains("CASEMATE_HOME"), "{why}");
    store.close().await.unwrap();
    disk.open();
}

#[test]
fn a_home_that_is_not_there_is_named_with_what_to_do() {
    let why = open::lock(Path::new("/nonexistent/store"), Duration::ZERO).expect_err("a lock").to_string();
    assert_eq!(
        why,
        "the home /nonexistent is not there: run `casemate setup`, or correct CASEMATE_HOME (in the file: home)"
    );
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let (mut disk, ..) = closed().await;
    let database = Builder::new().open(disk.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT, 1000).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(disk.file()).unwrap();
    let why = refusal(&mut disk);
    assert!(
        why.contains("newer casemate (format 1000, this one knows 2)") && why.contains("move the file away"),
        "{why}"
    );
    let after = Builder::new().open(disk.file()).unwrap();
    assert_eq!(format(&after).unwrap(), Format::Is(1000));
    assert_eq!(fs::read(disk.file()).unwrap().len(), before.len());
}

#[tokio::test]
async fn a_damaged_file_is_not_opened_and_never_replaced() {
    let (mut disk, ..) = closed().await;
    let whole = fs::read(disk.file()).unwrap();
    let foreign = {
        let path = disk.directory.path().join("foreign");
        drop(Builder::new().create(&path).unwrap());
        fs::read(path).unwrap()
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let output = whole.windows(64).position(|bytes| bytes == [b'o'; 64]).unwrap();
    let table: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("not a store", b"hello, world\n".repeat(10_000)),
        ("cut short", whole[..whole.len() / 3].to_vec()),
        ("only its beginning", whole[..100].to_vec()),
        ("another database", foreign),
        ("a changed magic number", flipped(3)),
        ("a changed output", flipped(output)),
    ];
    for (name, bytes) in table {
        fs::write(disk.file(), &bytes).unwrap();
        let why = refusal(&mut disk);
        assert!(why.contains("is damaged (") && why.contains("move it away"), "{name}: {why}");
        // The database may tidy up in a file that it takes for one of its own.
        assert!(fs::metadata(disk.file()).unwrap().len() >= bytes.len() as u64, "{name}");
    }
}

/// What waits is neither run nor dropped where its record cannot be understood: nobody starts, and the file stays as it is.
#[tokio::test]
async fn a_record_of_what_waits_that_cannot_be_understood_stops_the_start() {
    type Break = fn(&WriteTransaction, u128);
    let breaks: [(&str, Break); 2] = [
        ("no record", |transaction, id| drop(transaction.open_table(SUBMISSIONS).unwrap().remove(id).unwrap())),
        ("another form", |transaction, id| {
            drop(transaction.open_table(SUBMISSIONS).unwrap().insert(id, &b"\x81\xa5place\xc3"[..]).unwrap());
        }),
    ];
    for (name, damage) in breaks {
        let (mut disk, ended, waiting) = closed().await;
        let change = |disk: &Disk, id: JobId| {
            let database = Builder::new().open(disk.file()).unwrap();
            let transaction = database.begin_write().unwrap();
            damage(&transaction, id.number());
            transaction.commit().unwrap();
        };
        // That of one that has ended is for whoever asks for it.
        change(&disk, ended.submission.id);
        let store = disk.open_as(how()).unwrap();
        assert_eq!(store.line(0, 9).await.unwrap().len(), 1, "{name}");
        store.close().await.unwrap();
        let id = waiting.submission.id;
        change(&disk, id);
        for _ in 0..2 {
            let why = refusal(&mut disk);
            let words = format!("submissions.redb is damaged (what is kept of submission {id}, which waits, cannot be");
            assert!(
                why.contains(&words) && why.ends_with("move it away to begin with an empty store"),
                "{name}: {why}"
            );
        }
    }
}

/// Whatever byte is changed, nothing but the truth comes out of the file: it is refused, or all is as it was.
#[tokio::test]
async fn a_changed_byte_never_changes_an_answer() {
    let (mut disk, first, second) = closed().await;
    let whole = fs::read(disk.file()).unwrap();
    let (ended, line) = {
        let store = disk.open();
        let answer = (store.get(first.submission.id).await.unwrap().unwrap(), store.line(0, 9).await.unwrap().len());
        store.close().await.unwrap();
        answer
    };
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(disk.file(), &bytes).unwrap();
        let Ok(store) = disk.open_as(how()) else {
            refused += 1;
            continue;
        };
        let kept = store.get(first.submission.id).await.unwrap().unwrap();
        assert_eq!((&kept.report, kept.completed_at), (&ended.report, ended.completed_at), "byte {at}");
        assert_eq!(store.line(0, 9).await.unwrap().len(), line, "byte {at}");
        assert_eq!(store.job(second.submission.id).await.unwrap(), second.job, "byte {at}");
        store.close().await.unwrap();
    }
    assert!(refused > 0);
}

/// Formats that there never were: in the first the count was kept under another name, in the second all was in capitals.
#[tokio::test]
async fn an_older_file_is_brought_up_step_by_step_or_not_at_all() {
    const OLD: TableDefinition<'_, &str, &str> = TableDefinition::new("old");
    const NEW: TableDefinition<'_, &str, &str> = TableDefinition::new("new");
    fn second(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let value = transaction.open_table(OLD)?.get("word")?.map(|word| word.value().to_owned()).unwrap_or_default();
        transaction.open_table(NEW)?.insert("word", value.as_str())?;
        transaction.delete_table(OLD)?;
        Ok(())
    }
    fn third(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let value =
            transaction.open_table(NEW)?.get("word")?.map(|word| word.value().to_uppercase()).unwrap_or_default();
        transaction.open_table(NEW)?.insert("word", value.as_str())?;
        Ok(())
    }
    fn broken(_: &WriteTransaction) -> Result<(), redb::Error> {
        Err(redb::Error::Corrupted("on purpose".into()))
    }
    let directory = tempfile::tempdir().unwrap();
    let database = Builder::new().create(directory.path().join("old")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT, 1).unwrap();
    transaction.open_table(OLD).unwrap().insert("word", "kept").unwrap();
    transaction.commit().unwrap();
    let word = |table| {
        let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
        let table = transaction.open_table::<&str, &str>(table).ok()?;
        table.get("word").unwrap().map(|word| word.value().to_owned())
    };
    assert!(upgrade(&database, 1, &[second, broken]).is_err());
    assert_eq!((format(&database).unwrap(), word(OLD).as_deref(), word(NEW)), (Format::Is(1), Some("kept"), None));
    upgrade(&database, 1, &[second, third]).unwrap();
    assert_eq!((format(&database).unwrap(), word(OLD), word(NEW).as_deref()), (Format::Is(3), None, Some("KEPT")));
    // Again it has nothing to do, and from the second only the third step is left.
    upgrade(&database, 3, &[second, third]).unwrap();
    upgrade(&database, 2, &[broken, third]).unwrap();
    assert_eq!((format(&database).unwrap(), word(NEW).as_deref()), (Format::Is(3), Some("KEPT")));
}

/// The second format lists everything that is kept; the first knew no such list.
#[tokio::test]
async fn a_file_of_the_first_format_is_opened_and_listed() {
    let (mut disk, first, second) = closed().await;
    let database = Builder::new().open(disk.file()).unwrap();
    let listed = || {
        let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
        let table = transaction.open_table(ARRIVALS).ok()?;
        Some(table.iter().unwrap().map(|entry| entry.unwrap().1.value()).collect::<Vec<_>>())
    };
    let both = [&first, &second].map(|new| new.submission.id.number()).to_vec();
    assert_eq!(listed(), Some(both.clone()));
    let transaction = database.begin_write().unwrap();
    transaction.delete_table(ARRIVALS).unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT, 1).unwrap();
    transaction.commit().unwrap();
    assert_eq!(listed(), None);
    upgrade(&database, 1, upgrade::STEPS).unwrap();
    assert_eq!((format(&database).unwrap(), listed()), (Format::Is(2), Some(both)));
    drop(database);
    let store = disk.open();
    assert_eq!(store.line(0, 9).await.unwrap().len(), 1);
    assert_eq!(store.job(second.submission.id).await.unwrap(), second.job);
}

#[tokio::test]
async fn a_start_that_broke_off_leaves_nothing_in_the_way() {
    let mut disk = Disk::new();
    fs::create_dir(disk.path()).unwrap();
    fs::write(disk.file().with_extension("new"), b"half").unwrap();
    insert(&disk.open(), "x").await;
    assert!(!disk.file().with_extension("new").exists());
}
