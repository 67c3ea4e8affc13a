//! Calls of scripts by their hash alone, written into one buffer as they go over the wire.

use std::io::Write;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, RedisWrite, Script, ServerErrorKind, ToRedisArgs, Value};

use crate::Connection;

/// One call of a script. The crate's own invocation keeps each key and argument by itself, and copies them when it is sent.
pub struct Call {
    script: &'static Script,
    cmd: Cmd,
}

impl Call {
    /// A call with so many keys, which are its first arguments.
    pub fn new(script: &'static Script, keys: usize) -> Self {
        let mut cmd = Cmd::with_capacity(12 + keys, 512 + 64 * keys);
        cmd.arg("EVALSHA").arg(script.get_hash()).arg(keys);
        Self { script, cmd }
    }

    /// A further key or argument.
    pub fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }

    /// Further keys or arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl ToRedisArgs>) -> &mut Self {
        for arg in args {
            self.cmd.arg(arg);
        }
        self
    }

    /// A further argument that is made of these parts.
    pub fn arg_of(&mut self, parts: &[&[u8]]) -> &mut Self {
        let mut arg = self.cmd.writer_for_next_arg();
        for part in parts {
            let _ = arg.write_all(part); // into memory: it cannot fail
        }
        drop(arg);
        self
    }

    /// Makes the call. The script travels only if Redis does not know it (any more).
    pub async fn ask<T: FromRedisValue>(&self, conn: &mut Connection) -> RedisResult<T> {
        match self.cmd.query_async(conn).await {
            Err(error) if is_unknown_script(&error) => {
                self.script.load_async(conn).await?;
                self.cmd.query_async(conn).await
            }
            answer => answer,
        }
    }

    /// Makes many calls of one script in one round trip. Answers in order.
    ///
    /// A Redis that has forgotten the script between two of them is asked for all of them again: each must be safe to repeat.
    pub async fn ask_all(calls: Vec<Self>, conn: &mut Connection) -> RedisResult<Vec<Value>> {
        Self::ask_all_and(calls, None, conn).await
    }

    /// The same with a command behind them, in the same round trip and on the same connection.
    pub async fn ask_all_and(calls: Vec<Self>, last: Option<Cmd>, conn: &mut Connection) -> RedisResult<Vec<Value>> {
        let Some(Self { script, .. }) = calls.first() else { return Ok(Vec::new()) };
        let script = *script;
        let mut pipe = redis::pipe();
        for call in calls {
            pipe.add_command(call.cmd);
        }
        if let Some(last) = last {
            pipe.add_command(last);
        }
        match pipe.query_async(conn).await {
            Err(error) if is_unknown_script(&error) => {
                script.load_async(conn).await?;
                pipe.query_async(conn).await
            }
            answers => answers,
        }
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
