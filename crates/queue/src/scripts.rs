//! The Lua scripts, each from its file.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {
        $(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file))),+)));)*
    };
}

scripts! {
    ACK = "_fence.lua" "ack.lua";
    RENEW = "_fence.lua" "renew.lua";
    GIVE_BACK = "_fence.lua" "give_back.lua";
    MOVE = "_fence.lua" "move.lua";
    PROMOTE = "promote.lua";
    REAP = "reap.lua";
    SWEEP = "sweep.lua";
    ENQUEUE = "_add.lua" "enqueue.lua";
    SUBMIT = "_add.lua" "submit.lua";
    CLAIM = "claim.lua";
    BEGIN_SENDING = "begin_sending.lua";
    SETTLE = "settle.lua";
    RELEASE = "release.lua";
    REPLAY = "replay.lua";
    PACE = "pace.lua";
}
