//! The Lua scripts, each from its file.

use std::sync::LazyLock;

use redis::Script;
use stentor_connection::lua;

macro_rules! scripts {
    ($head:literal: $($name:ident = $($file:literal)+;)*) => {
        $(pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(lua!($head, $(include_str!(concat!("scripts/", $file))),+)));)*
    };
}

// What adds work stops at `maxmemory`.
scripts! { "":
    SUBMIT = "_add.lua" "_read.lua" "submit.lua";
    SUBMIT_BUNDLES = "_add.lua" "_read.lua" "submit_bundles.lua";
    REPLAY = "replay.lua";
}

// What works it off goes on beyond: otherwise a full Redis could never become empty again.
scripts! { "#!lua flags=allow-oom\n":
    ACK = "_fence.lua" "ack.lua";
    END_MEMBERS = "_fence.lua" "end_members.lua";
    LEAVE = "_fence.lua" "_adopt.lua" "leave.lua";
    ADOPT = "_adopt.lua" "adopt.lua";
    RENEW = "_fence.lua" "renew.lua";
    GIVE_BACK = "_fence.lua" "give_back.lua";
    MOVE = "_fence.lua" "move.lua";
    PROMOTE = "promote.lua";
    REAP = "reap.lua";
    SWEEP = "sweep.lua";
    FORGET = "forget.lua";
    FOLLOW_UP = "_add.lua" "enqueue.lua";
    CLAIM = "claim.lua";
    BEGIN_SENDING = "begin_sending.lua";
    SETTLE = "settle.lua";
    RELEASE = "release.lua";
    AMEND = "amend.lua";
    SPEND = "spend.lua";
    USED = "used.lua";
    PROGRESS = "progress.lua";
    WITHDRAW = "withdraw.lua";
    REWRITE = "rewrite.lua";
    APPEND = "append.lua";
    REPORT = "report.lua";
    PACE = "pace.lua";
    COUNT_START = "count_start.lua";
}
