//! A person who is connected: all their connections, and what these were told.
//!
//! Nearly always all connections of a person are told the same, so how far they are is kept once, and a frame is made once.
//! A connection that has just come, or whose snapshot was newer or older than what the others were told, goes by itself
//! until it is in step with them.

use std::time::{Duration, Instant};

use smallvec::SmallVec;
use stentor_domain::{NotificationId, RecipientId, Timestamp};
use stentor_inbox::{Changes, Marked, TimelineView};

use super::{
    frame::{CloseCode, ServerFrame},
    outlet::Outlet,
    progress::{Next, Progress, What},
    pulse::{Due, Pulse},
    told::Told,
};

/// How long a connection may read nothing.
const STALLED_WITHIN: Duration = Duration::from_secs(10);
/// What is kept back while something is read. Beyond it the reading is done again instead.
const MAX_KEPT: usize = 256;

/// A person who is connected.
pub(crate) struct Present {
    pub recipient: RecipientId,
    /// Nearly always one, which lies here itself: a push to thousands is as fast as memory gives them.
    pub connections: SmallVec<[Connection; 1]>,
    /// Up to where the log of the app's entries was handed to them.
    pub handed: u64,
    /// What the connections that are in step were told.
    common: Option<Line>,
}

/// One connection.
pub(crate) struct Connection {
    pub id: u64,
    wire: Wire,
    /// What it was told, while it is not in step.
    own: Option<Box<Line>>,
    /// When its token runs out.
    pub token_end: Instant,
    pulse: Pulse,
    ending: bool,
}

/// What is sent to a connection, and in which order.
#[derive(Default)]
struct Wire {
    /// `None` until it is welcomed.
    outlet: Option<Outlet>,
    /// What it asked for, if it waits for an answer: in a box, which one who only listens does not carry along.
    asked: Option<Box<Asked>>,
}

/// What a connection waits for.
#[derive(Default)]
struct Asked {
    /// Answers that wait for the message of their change.
    answers: Vec<Answer>,
    /// What has to wait for the answer.
    held: Option<Vec<Told>>,
}

/// How far somebody was told, and what has to wait.
struct Line {
    /// `None` until the first snapshot.
    progress: Option<Progress>,
    /// A snapshot, or what is missing, is read.
    reading: Option<Box<Reading>>,
}

/// What happened while something is read.
#[derive(Default)]
struct Reading {
    kept: Vec<What>,
    /// More happened than was kept: it is to be read again.
    over: bool,
}

struct Answer {
    reference: Option<String>,
    rev: u64,
    change: &'static str,
    ids: Vec<NotificationId>,
}

/// Who has to read what changed since their cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// All that are in step.
    Common,
    /// A connection by itself.
    Own(u64),
}

/// What is needed to take in what happens.
pub(crate) struct Now<'a> {
    pub view: &'a TimelineView,
    pub at: Timestamp,
    /// What is to be told, and what of it was written for a socket: memory that is used again and again.
    pub told: &'a mut Vec<Told>,
    pub written: &'a mut Vec<u8>,
}

impl Reading {
    fn keep(&mut self, whats: &[What]) {
        let room = MAX_KEPT - self.kept.len();
        self.over |= whats.len() > room;
        self.kept.extend(whats.iter().take(room).cloned());
    }
}

impl Line {
    /// Takes in what happened into `now.told`. True if something is missing, and has to be read.
    fn take(&mut self, whats: &[What], now: &mut Now<'_>) -> bool {
        now.told.clear();
        now.written.clear();
        if let Some(reading) = &mut self.reading {
            reading.keep(whats);
            return false;
        }
        let Some(progress) = &mut self.progress else { return false };
        for (at, what) in whats.iter().enumerate() {
            match progress.take(what, now.view, now.at) {
                Next::Nothing => {}
                Next::Send(told) => now.told.push(told),
                Next::Missing => {
                    self.reading.get_or_insert_default().keep(&whats[at..]);
                    break;
                }
            }
        }
        progress.settle(now.view, now.at, now.told);
        self.reading.is_some()
    }

    /// Takes in what happened while it read.
    fn replay(&mut self, reading: &Reading, now: &mut Now<'_>) -> bool {
        let missing = self.take(&reading.kept, now);
        if reading.over {
            self.reading.get_or_insert_default();
        }
        missing || reading.over
    }

    /// Takes in what changed into `now.told`, and gives what happened meanwhile.
    fn catch_up(&mut self, changes: Changes, now: &mut Now<'_>) -> Reading {
        now.written.clear();
        *now.told = self.progress.as_mut().map_or_else(Vec::new, |progress| progress.catch_up(changes, now.at));
        self.reading.take().map_or_else(Reading::default, |reading| *reading)
    }
}

impl Present {
    pub(crate) fn new(recipient: RecipientId, handed: u64) -> Self {
        Self { recipient, connections: SmallVec::new(), handed, common: None }
    }

    /// Reads a little of everything that a push reads. What nobody has touched lately lies in the slowest memory, and a push waits
    /// for one piece of it after the other; read ahead for some people at once, all of it is on its way at the same time.
    pub(crate) fn prefetch(&self) {
        let of = |Connection { id, wire, own, .. }: &Connection| {
            (*id, own.is_some(), wire.asked.is_some(), wire.outlet.as_ref().map(Outlet::prefetch))
        };
        let connection = self.connections.first().map(of);
        let progress = self.common.as_ref().map(|line| (line.reading.is_some(), line.progress.as_ref().map(Progress::prefetch)));
        std::hint::black_box((self.handed, connection, progress));
    }

    /// A connection that will be welcomed: from now on it misses nothing.
    pub(crate) fn join(&mut self, id: u64) {
        let own = Line { progress: None, reading: Some(Box::default()) };
        let (own, now) = (Some(Box::new(own)), Instant::now());
        let wire = Wire::default();
        self.connections.push(Connection { id, wire, own, token_end: now, pulse: Pulse::begin(now), ending: false });
    }

    /// False if there is no such connection.
    pub(crate) fn leave(&mut self, id: u64) -> bool {
        let before = self.connections.len();
        self.connections.retain(|c| c.id != id);
        if self.connections.iter().all(|c| c.own.is_some()) {
            self.common = None;
        }
        self.connections.len() < before
    }

    /// Ends a connection.
    pub(crate) fn end(&mut self, id: u64, code: CloseCode, reason: &str, bye: Option<&ServerFrame>) {
        if let Some(connection) = self.connection(id) {
            connection.end(code, reason, bye);
        }
    }

    pub(crate) fn connection(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.id == id)
    }

    /// Welcomes a connection, and tells it what happened since its snapshot. True if something is missing.
    pub(crate) fn welcome(
        &mut self,
        id: u64,
        outlet: Outlet,
        welcome: &Told,
        progress: Progress,
        token_end: Instant,
        now: &mut Now<'_>,
    ) -> bool {
        let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) else { return false };
        outlet.send_one(welcome, || progress.resync());
        connection.wire.outlet = Some(outlet);
        connection.token_end = token_end;
        connection.pulse = Pulse::begin(Instant::now());
        let mut line = Line { progress: Some(progress), reading: None };
        let kept = connection.own.take().and_then(|own| own.reading).unwrap_or_default();
        let missing = line.replay(&kept, now);
        connection.wire.send(now, &line);
        connection.own = Some(Box::new(line));
        self.fall_in();
        missing
    }

    /// Takes in what happened. Tells who has to read what is missing.
    pub(crate) fn take(&mut self, whats: &[What], now: &mut Now<'_>) -> Vec<Reads> {
        let mut reads = Vec::new();
        if let Some(common) = &mut self.common {
            if common.take(whats, now) {
                reads.push(Reads::Common);
            }
            if !now.told.is_empty() {
                self.connections.iter_mut().filter(|c| c.own.is_none()).for_each(|c| c.wire.send(now, common));
            }
        }
        if self.connections.iter().any(|c| c.own.is_some()) {
            for connection in &mut self.connections {
                let Some(mut own) = connection.own.take() else { continue };
                if own.take(whats, now) {
                    reads.push(Reads::Own(connection.id));
                }
                connection.wire.send(now, &own);
                connection.own = Some(own);
            }
            self.fall_in();
        }
        reads
    }

    /// Nothing is sure any more: everybody reads what changed since their cursor.
    pub(crate) fn all_behind(&mut self) -> Vec<Reads> {
        let mut reads = Vec::new();
        let mut behind = |line: &mut Line, who| {
            if let Some(reading) = &mut line.reading {
                reading.over = true; // what is being read may be older than what was lost
            } else {
                line.reading = Some(Box::default());
                reads.push(who);
            }
        };
        self.common.iter_mut().for_each(|line| behind(line, Reads::Common));
        for connection in &mut self.connections {
            let id = connection.id;
            connection.own.iter_mut().for_each(|line| behind(line, Reads::Own(id)));
        }
        reads
    }

    /// From where `who` has to read.
    pub(crate) fn progress(&self, who: Reads) -> Option<&Progress> {
        match who {
            Reads::Common => self.common.as_ref()?.progress.as_ref(),
            Reads::Own(id) => self.connections.iter().find(|c| c.id == id)?.own.as_ref()?.progress.as_ref(),
        }
    }

    /// What was missing was read. Tells who has to read again.
    pub(crate) fn caught_up(&mut self, who: Reads, changes: Changes, now: &mut Now<'_>) -> bool {
        match who {
            Reads::Common => {
                let Some(common) = &mut self.common else { return false };
                let kept = common.catch_up(changes, now);
                self.connections.iter_mut().filter(|c| c.own.is_none()).for_each(|c| c.wire.send(now, common));
                let missing = common.replay(&kept, now);
                self.connections.iter_mut().filter(|c| c.own.is_none()).for_each(|c| c.wire.send(now, common));
                self.fall_in();
                missing
            }
            Reads::Own(id) => {
                let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) else { return false };
                let Some(mut own) = connection.own.take() else { return false };
                let kept = own.catch_up(changes, now);
                connection.wire.send(now, &own);
                let missing = own.replay(&kept, now);
                connection.wire.send(now, &own);
                connection.own = Some(own);
                self.fall_in();
                missing
            }
        }
    }

    /// What is missing cannot be read: those who wait for it are to come back.
    pub(crate) fn lost(&mut self, who: Reads, bye: &ServerFrame) {
        let of = |c: &Connection| match who {
            Reads::Common => c.own.is_none(),
            Reads::Own(id) => c.id == id,
        };
        self.connections.iter_mut().filter(|c| of(c)).for_each(|c| c.end(CloseCode::Restart, "come back in a moment", Some(bye)));
    }

    /// Those who were told the same from now on are told together.
    fn fall_in(&mut self) {
        for connection in &mut self.connections {
            let ready = connection.own.as_ref().is_some_and(|own| own.reading.is_none() && own.progress.is_some());
            if !ready {
                continue;
            }
            match &self.common {
                None => self.common = connection.own.take().map(|own| *own),
                Some(common) => {
                    let cursor = |line: &Line| line.progress.as_ref().map(Progress::cursor);
                    if common.reading.is_none() && connection.own.as_ref().is_some_and(|own| cursor(own) == cursor(common)) {
                        connection.own = None;
                    }
                }
            }
        }
    }

    /// A connection asks for something: what happens until it is answered is kept, so that a change can be its own answer.
    pub(crate) fn ask(&mut self, id: u64) {
        if let Some(connection) = self.connection(id) {
            connection.wire.asked.get_or_insert_default().held = Some(Vec::new());
        }
    }

    /// The answer to a change that a connection asked for: the message of the change, or a frame of its own if there is none.
    pub(crate) fn answer(&mut self, id: u64, reference: Option<String>, change: &'static str, marked: &Marked) {
        let Some((wire, progress)) = self.wire(id) else { return };
        let answer = Answer { reference, rev: marked.rev, change, ids: marked.ids().collect() };
        if marked.cursor.own.epoch == progress.cursor().own.epoch {
            wire.asked.get_or_insert_default().answers.push(answer);
            wire.release(progress);
        } else {
            wire.release(progress);
            wire.tell(&[answer.told(progress)], progress);
        }
    }

    /// Sends a frame to one connection; what was kept since it asked for it follows.
    pub(crate) fn tell(&mut self, id: u64, told: Told) {
        let Some((wire, progress)) = self.wire(id) else { return };
        wire.tell(&[told], progress);
        wire.release(progress);
    }

    fn wire(&mut self, id: u64) -> Option<(&mut Wire, &Progress)> {
        let connection = self.connections.iter_mut().find(|c| c.id == id)?;
        let line = connection.own.as_deref().or(self.common.as_ref())?;
        Some((&mut connection.wire, line.progress.as_ref()?))
    }
}

impl Answer {
    fn told(self, progress: &Progress) -> Told {
        let Self { reference, ids, change, .. } = self;
        let (unread, cursor) = (progress.unread(), progress.cursor());
        let change = change.to_owned();
        Told::whole(&ServerFrame::State { reference, ids, change, items: Vec::new(), unread, cursor })
    }
}

impl Wire {
    fn tell(&self, told: &[Told], progress: &Progress) {
        if let Some(outlet) = &self.outlet {
            outlet.send(told, &mut Vec::new(), || progress.resync());
        }
    }

    /// Sends `now.told`, unless it has to wait.
    fn send(&mut self, now: &mut Now<'_>, line: &Line) {
        let (Some(outlet), Some(progress)) = (&self.outlet, &line.progress) else { return };
        if now.told.is_empty() {
            return;
        }
        match &mut self.asked {
            None => outlet.send(now.told, now.written, || progress.resync()),
            Some(asked) => match &mut asked.held {
                Some(held) if held.len() < MAX_KEPT => held.extend_from_slice(now.told),
                _ => {
                    let mut held = asked.held.take().unwrap_or_default();
                    held.extend_from_slice(now.told);
                    self.send_answered(held, progress);
                }
            },
        }
    }

    /// The answer is there: what waited for it goes on.
    fn release(&mut self, progress: &Progress) {
        if let Some(asked) = &mut self.asked {
            let held = asked.held.take().unwrap_or_default();
            self.send_answered(held, progress);
        }
    }

    /// Sends frames, those that answer a request as its answer, and answers what nothing else will.
    fn send_answered(&mut self, mut told: Vec<Told>, progress: &Progress) {
        let mut answers = self.asked.take().map_or_else(Vec::new, |asked| asked.answers);
        for one in &mut told {
            let answer = one.change.and_then(|rev| answers.iter().position(|a| a.rev == rev));
            if let Some(reference) = answer.and_then(|at| answers.swap_remove(at).reference) {
                *one = one.answering(&reference);
            }
        }
        // Nothing changed, or the change was caught up with in other words.
        let rev = progress.cursor().own.rev;
        told.extend(answers.extract_if(.., |answer| answer.rev <= rev).map(|answer| answer.told(progress)));
        if !answers.is_empty() {
            self.asked = Some(Box::new(Asked { answers, held: None }));
        }
        if !told.is_empty() {
            self.tell(&told, progress);
        }
    }
}

impl Connection {
    /// The other side was heard; with a token, until when the connection is good now.
    pub(crate) fn heard(&mut self, token_end: Option<Instant>) {
        self.pulse.heard(Instant::now());
        self.token_end = token_end.unwrap_or(self.token_end);
    }

    /// Ends it.
    pub(crate) fn end(&mut self, code: CloseCode, reason: &str, bye: Option<&ServerFrame>) {
        self.ending = true;
        if let Some(outlet) = &self.wire.outlet {
            outlet.end(code, reason, bye);
        }
    }

    /// What time demands of it.
    pub(crate) fn look(&mut self, now: Instant) {
        let Some(outlet) = &self.wire.outlet else { return };
        if self.ending {
            return;
        }
        if now >= self.token_end {
            self.end(CloseCode::Token, "the token ran out; come back with another", Some(&super::session::bye("token")));
        } else if outlet.stalled_since().is_some_and(|since| now.saturating_duration_since(since) >= STALLED_WITHIN) {
            outlet.give_up("nothing was read for 10 seconds");
            self.ending = true;
        } else if outlet.is_asked() {
            match self.pulse.look(now) {
                Due::Nothing => {}
                Due::Question => outlet.ping(),
                Due::End => self.end(CloseCode::Gone, "nobody answers", None),
            }
        }
    }
}
