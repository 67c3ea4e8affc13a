//! Faults of our own processes.

use serde_json::json;
use stentor_tests::serve::signal;

use crate::{
    Row, Scale,
    load::{Load, mixed},
    sinks::check,
    stack::Stack,
};

/// kill -9 of the worker, the API and both, again and again under load.
pub async fn killed(scale: Scale) -> Row {
    let (count, kills) = scale.of((4_000, 20), (100_000, 200));
    let mut stack = Stack::start(&["api,gateway", "worker"]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    for n in 0..kills {
        load.reached(count * n / kills).await;
        let victims: &[usize] = [&[1][..], &[0], &[0, 1]][n % 3];
        for victim in victims {
            stack.processes[*victim].kill();
        }
        for victim in victims {
            stack.processes[*victim].restart().await;
        }
    }
    load.end().await;
    let mut row = check(&stack, &load).await;
    row.notes.push(format!("{kills} kills"));
    row
}

/// One of two workers is stopped for longer than its leases, and goes on when the other has done its work.
pub async fn frozen(scale: Scale) -> Row {
    let count = scale.of(2_000, 20_000);
    let stack = Stack::start(&["api", "worker", "worker"]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    load.reached(count / 2).await;
    let frozen = stack.processes[1].pid();
    signal(frozen, "STOP");
    load.end().await;
    crate::sinks::at_rest(&stack).await; // only when all that it held was taken over
    signal(frozen, "CONT");
    // It says what it believes to be true; a further load shows that it works and has spoilt nothing.
    check(&stack, &load).await
}

/// Leases, retries and schedules go by Redis's clock.
pub async fn wrong_clock(scale: Scale) -> Row {
    let count = scale.of(1_000, 20_000);
    let mut stack = Stack::start(&["api", "worker"]).await;
    stack.add_with("worker", &[("LD_PRELOAD", &libfaketime()), ("FAKETIME", "+10m")]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    load.end().await;
    let row = check(&stack, &load).await;
    let ahead = "SELECT count(*) FROM events WHERE at > extract(epoch FROM now()) * 1000 + 300000";
    assert_ne!(stack.postgres.query(ahead), ["0"], "the worker with the wrong clock did nothing");
    row
}

/// What shifts the clock of a process. The command `faketime` would stand between us and the process.
fn libfaketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("libfaketime is installed: `make test-deps` installs it").display().to_string()
}
