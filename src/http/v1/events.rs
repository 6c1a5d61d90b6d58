//! `GET /v1/submissions/{id}/events`: what happens to a submission, as server-sent events (WHATWG HTML, 9.2). Each event's
//! id says how far its reader has come, so that who comes back with `Last-Event-ID` goes on there: during the run, after
//! the end, and after a restart of the service. Events are made when their reader can take one; until then nothing is held
//! for him but one piece.

mod endings;
mod form;
mod position;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::error;

pub use self::endings::Endings;
pub use self::form::NAMES;
use self::position::{News, Position, Steps};
use super::query;
use crate::http::problem::Problem;
use crate::http::reply::{Content, Reply};
use crate::http::routes::{Client, found, place};
use crate::model::{JobId, Submission};
use crate::service::{Feed, Followed, Stream, Watch};
use crate::telemetry::{Tag, chain};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Keeps proxies that know it (nginx) from collecting events.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The pause after all that there was: what is printed meanwhile goes into few events. So a program that prints byte by
/// byte before many readers does not keep the service busy.
const PAUSE: Duration = Duration::from_millis(20);

/// What a reader gets for his last events, once the service leaves.
const LAST: Duration = Duration::from_secs(1);

/// The same where his place is wanted by somebody else; the connection is closed soon after.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Begins to tell.
///
/// # Errors
/// [`Problem::Invalid`], [`Problem::UnknownId`], [`Problem::TooMany`], [`Problem::Unreadable`].
pub async fn follow(client: &Client, id: JobId, request: &Request<Incoming>) -> Result<Reply, Problem> {
    query::pairs(request.uri().query().unwrap_or_default(), &[])?;
    let at = last(request)?;
    let submission = {
        let _place = place(&client.edge)?;
        found(id, client.edge.ledger.status(id).await)?
    };
    if at.state == Some(submission.state) && submission.state.ended() && at.attempt == form::attempt(&submission) {
        // It was told all; a browser comes back until it hears this.
        let mut nothing = Response::default();
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    }
    let listeners = Arc::clone(&client.edge.listeners);
    let listener = listeners.try_acquire_owned().map_err(|_| Problem::TooMany("listeners"))?;
    let (events, from) = mpsc::channel(1);
    let watch = client.edge.ledger.watch(id);
    let teller = Teller { client: client.clone(), id, at, events, watch, feed: None, first: Stream::Out, listener };
    tokio::spawn(teller.tell());
    let mut reply = Response::new(Content::events(from));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(reply)
}

/// Where the client was before; at the beginning where he does not say.
fn last(request: &Request<Incoming>) -> Result<Position, Problem> {
    let mut values = request.headers().get_all(LAST_EVENT_ID).iter().filter(|value| !value.is_empty());
    let Some(value) = values.next() else { return Ok(Position::default()) };
    let at = value.to_str().ok().filter(|_| values.next().is_none()).and_then(|text| text.parse().ok());
    at.ok_or_else(|| Problem::Invalid {
        field: "Last-Event-ID".to_owned(),
        detail: "it is no id of an event".to_owned(),
        remedy: "send the id of an event of this submission as it was, or leave the header out".to_owned(),
    })
}

/// Why a reader is told no more.
#[derive(Clone, Copy, Debug)]
enum Over {
    /// All was told, or nobody reads.
    Done,
    /// The service leaves.
    Leaves,
    /// Others want his place.
    Wanted,
    /// The store cannot be read.
    Unreadable,
}

/// Tells one client of one submission.
struct Teller {
    client: Client,
    id: JobId,
    at: Position,
    events: mpsc::Sender<Bytes>,
    watch: Watch,
    /// What the feed that it looks at last was is told of here.
    feed: Option<(Arc<Feed>, watch::Receiver<()>)>,
    /// The stream whose turn it is.
    first: Stream,
    #[allow(dead_code, reason = "it is held")]
    listener: OwnedSemaphorePermit,
}

impl Teller {
    async fn tell(mut self) {
        let Err(over) = self.all().await;
        let (reason, patience) = match over {
            Over::Done => return,
            Over::Leaves => ("shutting_down", LAST),
            Over::Wanted => ("place_wanted", AT_ONCE),
            Over::Unreadable => ("store_unavailable", LAST),
        };
        let last = self.events.send(form::leave(reason));
        // Who does not take it sees the end of the connection.
        let _ = timeout(patience, last).await;
    }

    /// Tells all that happens; ends with the reason for which it goes on no further.
    async fn all(&mut self) -> Result<std::convert::Infallible, Over> {
        self.send(form::opening()).await?;
        let mut silent_since = Instant::now();
        loop {
            // Before the look at it: after that it has to be the last one.
            let leaves = self.client.leave.is_cancelled();
            let Followed { submission, feed } = self.look().await?;
            let before = self.at;
            for event in form::states(&mut self.at, &submission) {
                self.send(event).await?;
            }
            if submission.state.ended() {
                return Err(self.end(&submission).await);
            }
            self.attend(feed);
            while let Some(event) = self.printed() {
                self.send(event).await?;
            }
            if self.at != before {
                silent_since = Instant::now();
            }
            if leaves {
                return Err(Over::Leaves);
            }
            let pause = if self.at == before { Duration::ZERO } else { PAUSE };
            let quiet = silent_since + self.client.edge.http.heartbeat;
            tokio::select! {
                () = self.watch.changed() => {}
                () = printed(self.feed.as_mut(), pause) => {}
                () = self.client.leave.cancelled() => {}
                () = self.client.seat.gone().cancelled() => return Err(Over::Wanted),
                () = self.events.closed() => return Err(Over::Done),
                () = sleep_until(quiet) => {
                    self.send(form::heartbeat()).await?;
                    silent_since = Instant::now();
                }
            }
        }
    }

    async fn look(&self) -> Result<Followed, Over> {
        let followed = self.client.edge.ledger.follow(self.id).await.map_err(|failure| {
            error!(tag = %Tag::Http, "{} cannot be followed: {}", self.id, chain(&failure));
            Over::Unreadable
        })?;
        // One that is kept no longer has nothing more to be told of it.
        followed.ok_or(Over::Done)
    }

    /// Looks at this feed from now on.
    fn attend(&mut self, feed: Option<Arc<Feed>>) {
        let same = match (&self.feed, &feed) {
            (Some((old, _)), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if !same {
            self.feed = feed.map(|feed| {
                let changed = feed.subscribe();
                (feed, changed)
            });
        }
        if let Some((_, changed)) = &mut self.feed {
            changed.mark_unchanged();
        }
    }

    /// The next event of what is printed.
    fn printed(&mut self) -> Option<Bytes> {
        let (at, first) = (&mut self.at, &mut self.first);
        self.feed.as_ref()?.0.look(|steps| next(at, steps, first))
    }

    /// Tells what is still to be told of one that has ended, and the end.
    async fn end(&mut self, submission: &Arc<Submission>) -> Over {
        self.feed = None;
        let edge = Arc::clone(&self.client.edge);
        let ending = edge.endings.enter(self.id);
        let held = tokio::select! {
            held = ending.hold(&edge, self.id) => held.ok(),
            over = self.hindered() => return over,
        };
        if let Some(held) = held
            && let Some(report) = &held.submission.report
        {
            loop {
                // Once others need the room, what is left has to be asked for.
                let event = if ending.gone().is_cancelled() {
                    self.at.skip(report).map(|skipped| form::news(&skipped, &self.at))
                } else {
                    next(&mut self.at, report, &mut self.first)
                };
                let Some(event) = event else { break };
                held.moved(event.len());
                let given_up = async {
                    ending.gone().cancelled().await;
                    sleep(LAST).await;
                };
                let sent = tokio::select! {
                    sent = self.send(event) => sent,
                    () = given_up => Err(Over::Wanted),
                };
                if let Err(over) = sent {
                    return over;
                }
            }
        }
        let event = form::end(&mut self.at, held.map_or(submission, |held| &held.submission));
        drop(ending);
        self.send(event).await.err().unwrap_or(Over::Done)
    }

    /// Whatever ends it before all is told.
    async fn hindered(&self) -> Over {
        let late = async {
            self.client.leave.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = self.events.closed() => Over::Done,
            () = self.client.seat.gone().cancelled() => Over::Wanted,
            () = late => Over::Leaves,
        }
    }

    /// Waits until the client has taken what came before.
    async fn send(&self, event: Bytes) -> Result<(), Over> {
        tokio::select! {
            biased;
            sent = self.events.send(event) => sent.map_err(|_| Over::Done),
            over = self.hindered() => Err(over),
        }
    }
}

/// The next event of these steps; the streams take turns.
fn next(at: &mut Position, steps: &(impl Steps + ?Sized), first: &mut Stream) -> Option<Bytes> {
    let news = at.next(steps, *first)?;
    if let News::Output(_, stream, _) = news {
        *first = if stream == Stream::Out { Stream::Err } else { Stream::Out };
    }
    Some(form::news(&news, at))
}

/// Waits until more is printed, after this pause.
async fn printed(feed: Option<&mut (Arc<Feed>, watch::Receiver<()>)>, pause: Duration) {
    sleep(pause).await;
    match feed {
        Some((_, changed)) => drop(changed.changed().await),
        None => std::future::pending().await,
    }
}
