//! Calls of scripts (`stentor_connection::Call`), as one submission makes them: six keys, nine arguments, one of them the request.

use std::{hint::black_box, sync::LazyLock};

use redis::Script;
use stentor_connection::Call;

use crate::beside::Bench;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));
const KEYS: [&str; 6] = [
    "stentor:{q:dispatch}:due",
    "stentor:{q:dispatch}:high",
    "stentor:{q:dispatch}:normal",
    "stentor:{q:dispatch}:bulk",
    "stentor:{q:dispatch}:job:019ab3c2-7d5e-7a10-8f00-0123456789ab",
    "stentor:{q:dispatch}:idempotency:bank:repayment-42",
];

pub(crate) fn measure(bench: &mut Bench) {
    LazyLock::force(&SCRIPT);
    let body = vec![b'x'; 700];
    let args: [&[u8]; 9] =
        [b"100000", b"019ab3c2-7d5e-7a10-8f00-0123456789ab", b"1", b"0", b"0", &[b'p'; 70], &body, &[7; 32], b"86400000"];
    bench
        .work("write a call of a script", || {
            let mut call = Call::new(&SCRIPT, KEYS.len());
            for key in black_box(KEYS) {
                call.arg(key);
            }
            for arg in black_box(args) {
                call.arg(arg);
            }
            call
        })
        .beside("the invocation of redis", || {
            let mut call = SCRIPT.prepare_invoke();
            for key in black_box(KEYS) {
                call.key(key);
            }
            for arg in black_box(args) {
                call.arg(arg);
            }
            let mut pipe = redis::pipe();
            pipe.invoke_script(&call);
            pipe
        })
        .beside("bytes into one buffer", || {
            let mut buffer: Vec<u8> = Vec::with_capacity(2_048);
            buffer.extend_from_slice(SCRIPT.get_hash().as_bytes());
            for part in black_box(KEYS).map(str::as_bytes).iter().chain(&black_box(args)) {
                buffer.extend_from_slice(part);
            }
            buffer
        });
}
