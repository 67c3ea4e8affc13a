//! Scripts as Redis is sent them: without what is for readers alone, which would lie in each process, on the wire and in Redis.

/// A script of these parts (literals, `include_str!`), without its comments that stand on lines of their own and without what lines
/// are indented by. The lines keep their numbers, which Redis names in errors. Done by the compiler.
#[macro_export]
macro_rules! lua {
    ($($parts:tt)*) => {{
        const WHOLE: &str = concat!($($parts)*);
        const BYTES: [u8; $crate::lua::stripped_len(WHOLE)] = $crate::lua::strip(WHOLE);
        const SCRIPT: &str = match core::str::from_utf8(&BYTES) {
            Ok(script) => script,
            Err(_) => panic!("only whole lines, or their beginnings, are left out"),
        };
        SCRIPT
    }};
}

/// How many bytes [`strip`] leaves.
#[must_use]
pub const fn stripped_len(lua: &str) -> usize {
    walk(lua.as_bytes(), &mut [])
}

/// What is left of a script, if that is so many bytes.
#[must_use]
pub const fn strip<const N: usize>(lua: &str) -> [u8; N] {
    let mut left = [0; N];
    walk(lua.as_bytes(), &mut left);
    left
}

/// Writes what is left as far as there is room. Gives how many bytes it is.
const fn walk(lua: &[u8], left: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    while from < lua.len() {
        while from < lua.len() && lua[from] == b' ' {
            from += 1;
        }
        let is_comment = from + 1 < lua.len() && lua[from] == b'-' && lua[from + 1] == b'-';
        loop {
            if from == lua.len() {
                break;
            }
            let byte = lua[from];
            from += 1;
            if !is_comment || byte == b'\n' {
                if to < left.len() {
                    left[to] = byte;
                }
                to += 1;
            }
            if byte == b'\n' {
                break;
            }
        }
    }
    to
}

#[cfg(test)]
mod tests {
    #[test]
    fn comments_and_indents_go_and_lines_stay() {
        let script = crate::lua!("#!lua\n", "-- What it does.\nlocal a = 'x -- y' -- kept\n  -- why\n  return a - -1\n", "end");
        assert_eq!(script, "#!lua\n\nlocal a = 'x -- y' -- kept\n\nreturn a - -1\nend");
        assert_eq!(crate::lua!(""), "");
        assert_eq!(crate::lua!("-"), "-");
        assert_eq!(crate::lua!("--"), "");
    }
}
