//! Clients that submit and look at results without a pause, and keep a book of everything that they were told.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::random;
use crate::support::Client;
use crate::support::client::Reply;
use crate::support::submission::{body, ended};

const CLIENTS: usize = 3;

/// Workers of both services.
pub const WORKERS: usize = 3;

/// More than this is not left to wait: most kills are to hit something that runs.
const WAITING: usize = 40;

/// The clients of one run.
pub struct Load {
    job: fn(usize) -> (String, String),
    next: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// What was accepted: its number.
    accepted: HashMap<String, usize>,
    /// Endings as a client first saw them.
    seen: HashMap<String, Value>,
    /// Numbers that were sent without an answer, each under its own key: sent again until there is one.
    open: Vec<usize>,
    wrong: Vec<String>,
    changed: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    pub accepted: usize,
    answered: usize,
    given_up: usize,
    wrong: Vec<String>,
    changed: Vec<String>,
    lost: Vec<String>,
    /// How many the service says that it has ever accepted, above those that clients know of.
    unknown: i64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {}, answered {} (cut off three times {}), wrong {}, lost {}, changed {}, accepted twice {}",
            self.accepted,
            self.answered,
            self.given_up,
            self.wrong.len(),
            self.lost.len(),
            self.changed.len(),
            self.unknown
        )
    }
}

impl Figures {
    /// Panics with what is wrong after so many kills.
    pub fn check(&self, kills: usize) {
        assert!(self.wrong.is_empty() && self.lost.is_empty() && self.changed.is_empty(), "{self:#?}");
        assert_eq!((self.answered, self.unknown), (self.accepted, 0), "{self:#?}");
        // Each was hit twice at least while it ran, and once more or was in doubt; a kill hits no more than there are workers.
        assert!(self.given_up * 2 <= kills * WORKERS, "{self}");
    }
}

impl Load {
    /// Programs and their outputs by number.
    pub fn new(job: fn(usize) -> (String, String)) -> Self {
        Self { job, next: AtomicUsize::new(0), book: Mutex::default() }
    }

    /// Works against a service for as long.
    pub fn against(&mut self, address: SocketAddr, time: Duration) {
        let (stop, this) = (AtomicBool::new(false), &*self);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        this.submit(address);
                        this.look(address);
                    }
                });
            }
            thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
        });
    }

    fn submit(&self, address: SocketAddr) {
        // What was sent before without an answer comes first: under its key it cannot become two.
        let again = {
            let mut book = self.book.lock().expect("the book");
            if book.accepted.len() - book.seen.len() > WAITING {
                return;
            }
            book.open.pop()
        };
        let number = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        let (code, _) = (self.job)(number);
        let key = format!("key {number}");
        let sent =
            Client::new(address).send("POST", "/submit", &[("Idempotency-Key", &key)], &body("python", &code, None));
        let mut book = self.book.lock().expect("the book");
        match sent {
            Ok(reply) if reply.status == 202 => {
                let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
                book.accepted.insert(id, number);
            }
            Ok(reply) if reply.status == 503 => book.open.push(number),
            Ok(reply) => book.wrong.push(format!("submit: {} {}", reply.status, reply.text())),
            Err(_) => book.open.push(number),
        }
    }

    /// Looks at one of those that were accepted: at one that nobody has seen the end of, or at any.
    fn look(&self, address: SocketAddr) {
        let chosen = {
            let book = self.book.lock().expect("the book");
            let at = usize::try_from(random(0, book.accepted.len().max(1) as u64)).unwrap_or_default();
            let unseen = book.accepted.iter().find(|(id, _)| at % 4 > 0 && !book.seen.contains_key(*id));
            unseen
                .or_else(|| book.accepted.iter().nth(at))
                .map(|(id, number)| (id.clone(), *number, book.seen.get(id).cloned()))
        };
        let Some((id, number, before)) = chosen else { return };
        let Ok(reply) = Client::new(address).send("GET", &format!("/result?id={id}"), &[], b"") else { return };
        self.note(&id, number, before.as_ref(), &reply);
    }

    /// Writes down what a service said of a submission, of which an end was known `before` it was asked; whether it has
    /// ended. What others learnt meanwhile says nothing: their question may have been later than this one.
    fn note(&self, id: &str, number: usize, before: Option<&Value>, reply: &Reply) -> bool {
        let mut book = self.book.lock().expect("the book");
        if reply.status != 200 {
            book.wrong.push(format!("{id}: {}", reply.status));
            return true;
        }
        let now = reply.json();
        let over = ended(now["status"].as_str().unwrap_or_default());
        match before {
            Some(before) if *before != now => book.changed.push(format!("{before} became {now}")),
            None if over && !book.seen.contains_key(id) => {
                let (_, expected) = (self.job)(number);
                let right = now["status"] == "completed" && now["output"] == expected.as_str();
                if !right && now["output"] != "Internal error: interrupted" {
                    book.wrong.push(now.to_string());
                }
                book.seen.insert(id.to_owned(), now);
            }
            _ => {}
        }
        over
    }

    /// Waits until everything has ended, and adds up.
    pub fn settle(&mut self, address: SocketAddr) -> Figures {
        while !self.book.lock().expect("the book").open.is_empty() {
            self.submit(address);
            self.look(address);
        }
        let accepted = self.book.lock().expect("the book").accepted.clone();
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut lost = Vec::new();
        for (id, number) in &accepted {
            let before = self.book.lock().expect("the book").seen.get(id).cloned();
            loop {
                let reply = Client::new(address).get(&format!("/result?id={id}"));
                if reply.status == 404 {
                    lost.push(id.clone());
                    break;
                }
                if self.note(id, *number, before.as_ref(), &reply) {
                    break;
                }
                if Instant::now() > deadline {
                    lost.push(format!("{id} did not end: {}", reply.text()));
                    break;
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
        let submissions = Client::new(address).stats()[3];
        let book = self.book.lock().expect("the book");
        let numbers: std::collections::HashSet<_> = accepted.values().collect();
        Figures {
            accepted: accepted.len(),
            answered: book.seen.len(),
            given_up: book.seen.values().filter(|seen| seen["output"] == "Internal error: interrupted").count(),
            wrong: book.wrong.clone(),
            changed: book.changed.clone(),
            lost,
            unknown: i64::try_from(submissions).unwrap_or_default() - i64::try_from(numbers.len()).unwrap_or_default(),
        }
    }
}
