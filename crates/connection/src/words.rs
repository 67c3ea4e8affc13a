//! Keys and arguments of a call that is made later.

use std::io::Write;

use redis::{RedisWrite, ToRedisArgs};

/// Words in one buffer, in order.
#[derive(Debug, Default)]
pub struct Words {
    bytes: Vec<u8>,
    begins: Vec<usize>,
}

impl Words {
    /// With room for so many words of so many bytes together.
    pub fn with_capacity(words: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), begins: Vec::with_capacity(words) }
    }

    /// A further word.
    pub fn push(&mut self, word: impl ToRedisArgs) {
        word.write_redis_args(self);
    }

    /// A further word that is made of these parts.
    pub fn push_of(&mut self, parts: &[&[u8]]) {
        self.begins.push(self.bytes.len());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// How many bytes they are.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The words.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.begins.len()).map(|at| {
            let end = self.begins.get(at + 1).copied().unwrap_or(self.bytes.len());
            &self.bytes[self.begins[at]..end]
        })
    }
}

impl RedisWrite for Words {
    fn write_arg(&mut self, arg: &[u8]) {
        self.push_of(&[arg]);
    }

    fn writer_for_next_arg(&mut self) -> impl Write + '_ {
        self.begins.push(self.bytes.len());
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_in_order_whatever_they_are_made_of() {
        let mut words = Words::with_capacity(2, 8);
        words.push("one");
        words.push("");
        words.push(-17_i64);
        words.push_of(&[b"a", b"", b"bc"]);
        words.push(&[1, 2]);
        let of: [&[u8]; 6] = [b"one", b"", b"-17", b"abc", b"1", b"2"];
        assert_eq!(words.iter().collect::<Vec<_>>(), of);
        assert_eq!((words.bytes(), words.iter().len()), (11, 6));
        assert_eq!(Words::default().iter().next(), None);
    }
}
