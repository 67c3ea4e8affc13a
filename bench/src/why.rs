//! Why goals are not met, as far as profiles told: said beside the table, of those that a run did not meet.

use std::fmt::Write as _;

use crate::report::Row;

/// Whether a row is meant, by its work and by what it is held against; and why it is as it is.
struct Why {
    work: &'static str,
    /// What its name begins with; empty for any.
    other: &'static str,
    because: &'static str,
}

/// The first that fits counts.
const ALL: [Why; 21] = [
    Why {
        work: "accept one POST",
        other: "",
        because: "Redis works 11 µs for a POST (a key that is remembered, a record and a share of an entry; the kernel and the growing dictionary \
                  of keys are half of it), for the floor's XADD 1.7, and shares its core with those who call (8 µs a POST). The next row of the \
                  table has it per CPU second of the server. On a fast and quiet machine it was 0.77 to 0.82.",
    },
    Why {
        work: "its p99 at 2000/s",
        other: "",
        because: "runs in a quieter hour found 1.5 to 1.6 (0.66 ms beside 0.42). Where the floor itself takes milliseconds, it is the machine that \
                  is measured.",
    },
    Why {
        work: "accept in batches of 100, by itself",
        other: "",
        because: "of an item the server takes 2 to 3.5 µs, most of it to read, check and write JSON. The 200,000 are meant for a machine whose \
                  floor makes 600,000; a run where it made a million found 488,000.",
    },
    Why {
        work: "queue: push",
        other: "RQ",
        because: "RQ sends the jobs of a call in one pipeline. A hundred times its rate would be more than twice that of raw streams, of which the \
                  goal is 0.7. Beside Celery, the other one that the goal names, it is met.",
    },
    Why {
        work: "POST to frame of one person, as many as can be",
        other: "bare axum",
        because: "the server's core is full: of it a notification takes 90 to 150 µs, as the machine is, five times what the floor takes, which \
                  keeps nothing; the goal leaves it half of that. HTTP takes 39 % (a third of that the kernel, with the answer), the record 17 \
                  (SQLite's thread 10, the archiver 5, the sweep 1), dispatch 14, speaking with Redis 10, the sockets 7, the queue 5. Redis takes \
                  half as long on the other core. The eleven rows of its record, most of which are written after the push, would alone take as \
                  long as all of it, at the price of the bare `insert_many` in the table.",
    },
    Why {
        work: "POST to frame of one person, as many as can be",
        other: "",
        because: "as beside the floor: the server's core is full with what is kept of each, and whoever keeps nothing has a half to a seventh of \
                  that to do.",
    },
    Why {
        work: "POST to frame of one person, 1,000/s: p50",
        other: "",
        because: "what is accepted is kept in Redis before anybody hears of it, and the item before its push: two scripts and its log are two \
                  fifths of the time. Whoever keeps nothing passes the words on. Bare axum with one PUBLISH, in the table, is behind them as well.",
    },
    Why {
        work: "POST to frame of one person, 1,000/s: p99",
        other: "",
        because: "a thousand of them a second take a third of our core, where bare axum with its PUBLISH takes 3 %, and 9 ms of each 113 a batch \
                  of the record holds that core: nine of ten are there within 0.4 ms, and what comes while others are in work waits for them. \
                  Whoever keeps nothing has nobody waiting. A thread of the machine's supervisor adds up to 28 ms at a time, on some every second. \
                  Bare axum with its PUBLISH, in the table, is behind nchan as well, and in some runs behind all three.",
    },
    Why {
        work: "bursts of ten",
        other: "centrifuge",
        because: "85 % of a burst is the kernel's send() of the same bytes; centrifuge, too, sends several messages at once, up to four. With \
                  nothing but that send(), which the table has as ten frames in each, it would be 4.6 to 8 times centrifuge: that differs from one \
                  machine to the next.",
    },
    Why {
        work: "bursts of ten",
        other: "raw send()",
        because: "85 % of a burst is the kernel's send(), and the floor's rate of single ones rises and falls by a fifth with the hour.",
    },
    Why {
        work: "broadcast to 10000 sockets, last client",
        other: "",
        because: "it is as late as the whole broadcast takes, behind 2 ms until the entry is written and read back from Redis, which the floor \
                  lacks.",
    },
    Why {
        work: "broadcast to 10000 sockets",
        other: "",
        because: "93 % of it is the kernel's send(), most of the rest waiting for memory. What the other core does costs us twice what it costs \
                  the floor (27 % and 13 %), so that whole runs found 0.67 to 0.95.",
    },
    Why {
        work: "inbox write of one item, of Redis",
        other: "",
        because: "a third are its six commands, the rest is Lua's and finding the keys. It rises and falls with the floor's: 10.5 to 14.",
    },
    Why {
        work: "inbox write of one item",
        other: "",
        because: "the script costs Redis a sixth more than the floor's, and the caller's side makes items of its answers.",
    },
    Why {
        work: "first page",
        other: "",
        because: "the rest beside the commands is the caller's, who reads the state of each item, where the floor leaves bytes as they are.",
    },
    Why {
        work: "growth: consuming before so many jobs",
        other: "",
        because: "nothing in it grows with the backlog; of one size, single rounds differ by a third.",
    },
    Why {
        work: "growth: one more item into an inbox",
        other: "",
        because: "runs found 0.96 to 1.32 while each size was measured some seconds after the one before; now they take turns. Nothing in it walks \
                  the inbox.",
    },
    Why {
        work: "broadcast to ",
        other: "itself",
        because: "nothing in it asks how many there are; medians of a size differ by a third from one minute to the next.",
    },
    Why {
        work: "memory when idle",
        other: "",
        because: "two thirds are pages of the binary's code, which the kernel maps 16 at a time.",
    },
    Why {
        work: "the binary",
        other: "",
        because: "four fifths are code; what runs seldom is built for size already (Cargo.toml).",
    },
    Why { work: "", other: "", because: "no profile has told yet." },
];

/// A line for each row that does not meet its goal.
pub(crate) fn lines<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    let mut text = String::new();
    for row in rows.filter(|row| row.is_met() == Some(false)) {
        let fits = |why: &&Why| row.work.starts_with(why.work) && row.other.starts_with(why.other);
        let because = ALL.iter().find(fits).map_or("", |why| why.because);
        let beside = row.other.split(':').next().filter(|other| !other.is_empty());
        let beside = beside.map(|other| format!(", beside {other}")).unwrap_or_default();
        let _ = writeln!(text, "- **{}{beside}**: {because}", row.work);
    }
    text
}
