//! Dead letters: looked into, replayed, discarded. They are kept for 30 days.

use std::{collections::HashMap, time::Duration};

use crate::{Queue, QueueError, scripts};

/// How long dead letters are kept.
pub(crate) const KEPT: Duration = Duration::from_hours(30 * 24);

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place among the dead letters.
    pub id: String,
    /// The job.
    pub job_id: String,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up (ms).
    pub died_at: i64,
    /// What its handler was given.
    pub payload: Vec<u8>,
}

type Entry = (String, HashMap<String, Vec<u8>>);

fn letter((id, mut fields): Entry) -> DeadLetter {
    let mut text = |name: &str| fields.remove(name).map(|v| String::from_utf8_lossy(&v).into_owned()).unwrap_or_default();
    let (job_id, reason) = (text("i"), text("r"));
    let (attempts, died_at) = (text("a").parse().unwrap_or(0), text("t").parse().unwrap_or(0));
    DeadLetter { id, job_id, reason, attempts, died_at, payload: fields.remove("d").unwrap_or_default() }
}

impl Queue {
    async fn letters(&self, from: &str, to: &str, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let range = redis::cmd("XRANGE").arg(&self.keys.dead).arg(from).arg(to).arg("COUNT").arg(limit).to_owned();
        let entries: Vec<Entry> = range.query_async(&mut self.connection()).await?;
        Ok(entries.into_iter().map(letter).collect())
    }

    /// Dead letters, oldest first, those after the place `after`.
    pub async fn list_dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        match after {
            Some(after) if is_place(after) => self.letters(&format!("({after}"), "+", limit).await,
            Some(_) => Ok(Vec::new()),
            None => self.letters("-", "+", limit).await,
        }
    }

    /// The dead letter at the place `id`.
    pub async fn find_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        if !is_place(id) {
            return Ok(None);
        }
        Ok(self.letters(id, id, 1).await?.pop())
    }

    /// Puts a dead letter back on its lane, its tries counted anew and its record open again. False if there is none.
    pub async fn replay_dead_letter(&self, id: &str) -> Result<bool, QueueError> {
        let Some(letter) = self.find_dead_letter(id).await? else { return Ok(false) };
        let mut call = scripts::REPLAY.key(&self.keys.dead);
        call.key(&self.keys.lanes[0])
            .key(&self.keys.lanes[1])
            .key(&self.keys.lanes[2])
            .key(self.keys.job(&letter.job_id))
            .key(&self.keys.bundled)
            .arg(id);
        Ok(call.invoke_async::<u8>(&mut self.connection()).await? == 1)
    }

    /// Discards a dead letter. False if there is none.
    pub async fn discard_dead_letter(&self, id: &str) -> Result<bool, QueueError> {
        if !is_place(id) {
            return Ok(false);
        }
        let gone: usize = redis::cmd("XDEL").arg(&self.keys.dead).arg(id).query_async(&mut self.connection()).await?;
        Ok(gone == 1)
    }
}

/// Whether a text is the id of a stream's entry: anything else Redis would answer with an error.
fn is_place(text: &str) -> bool {
    text.split_once('-').is_some_and(|(a, b)| a.parse::<u64>().is_ok() && b.parse::<u64>().is_ok())
}
