//! The frame lengths announced by a peer, checked as bytes arrive (ZMTP 3.0, RFC 23). Pure.

/// The limits on a peer's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameLimits {
    /// The size of all frames of one message, in bytes.
    pub message: u64,
}

/// The size limit of a command, in bytes; READY takes less than a hundred.
const COMMAND: u64 = 1 << 16;
pub(super) const GREETING: usize = 64;
const MORE: u8 = 1;
pub(super) const LONG: u8 = 2;
pub(super) const IS_COMMAND: u8 = 4;

impl FrameLimits {
    /// Allows a quarter of the machine's memory for a message.
    pub fn of_this_machine() -> Self {
        let info = rustix::system::sysinfo();
        let memory = u128::from(info.totalram) * u128::from(info.mem_unit.max(1));
        Self {
            message: u64::try_from(memory / 4).unwrap_or(u64::MAX),
        }
    }
}

/// The reason for which a peer is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameRefusal {
    #[error("it does not speak ZMTP 3 with the NULL mechanism")]
    Greeting,
    #[error("a message of {0} bytes")]
    TooLong(u64),
    #[error("malformed frame flags {0:#04x}")]
    Flags(u8),
}

/// A checker of a peer's stream of bytes.
#[derive(Debug)]
pub(super) struct FrameChecker {
    limits: FrameLimits,
    state: State,
    /// True after the first complete command, which is READY.
    greeted: bool,
    /// The size of the current message's frames so far, in bytes.
    message: u64,
}

#[derive(Debug)]
enum State {
    Greeting { seen: usize },
    Flags,
    Length { flags: u8, left: u8, length: u64 },
    Body { left: u64, is_command: bool },
}

impl FrameChecker {
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            state: State::Greeting { seen: 0 },
            greeted: false,
            message: 0,
        }
    }

    /// Returns true once the peer has completed its handshake.
    pub fn greeted(&self) -> bool {
        self.greeted
    }

    /// Checks the next bytes, which may start and end anywhere.
    pub fn check(&mut self, mut bytes: &[u8]) -> Result<(), FrameRefusal> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Greeting { seen } => {
                    if !is_greeting_byte(*seen, first) {
                        return Err(FrameRefusal::Greeting);
                    }
                    *seen += 1;
                    if *seen == GREETING {
                        self.state = State::Flags;
                    }
                    bytes = rest;
                }
                State::Flags => {
                    if first & !(MORE | LONG | IS_COMMAND) != 0 {
                        return Err(FrameRefusal::Flags(first));
                    }
                    let left = if first & LONG == 0 { 1 } else { 8 };
                    self.state = State::Length {
                        flags: first,
                        left,
                        length: 0,
                    };
                    bytes = rest;
                }
                State::Length {
                    flags,
                    left,
                    length,
                } => {
                    *length = *length << 8 | u64::from(first);
                    *left -= 1;
                    if *left == 0 {
                        let (flags, length) = (*flags, *length);
                        self.announced(flags, length)?;
                    }
                    bytes = rest;
                }
                State::Body { left, is_command } => {
                    let taken = usize::try_from(*left).map_or(bytes.len(), |l| l.min(bytes.len()));
                    *left -= taken as u64;
                    if *left == 0 {
                        self.greeted |= *is_command;
                        self.state = State::Flags;
                    }
                    bytes = &bytes[taken..];
                }
            }
        }
        Ok(())
    }

    fn announced(&mut self, flags: u8, length: u64) -> Result<(), FrameRefusal> {
        let is_command = flags & IS_COMMAND != 0;
        if is_command {
            if length > COMMAND {
                return Err(FrameRefusal::TooLong(length));
            }
        } else {
            self.message = self.message.saturating_add(length);
            if self.message > self.limits.message {
                return Err(FrameRefusal::TooLong(self.message));
            }
            if flags & MORE == 0 {
                self.message = 0;
            }
        }
        self.state = if length == 0 {
            State::Flags
        } else {
            State::Body {
                left: length,
                is_command,
            }
        };
        Ok(())
    }
}

/// Returns true if a greeting may have this byte at this position.
fn is_greeting_byte(position: usize, byte: u8) -> bool {
    const MECHANISM: &[u8; 20] = b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    match position {
        0 => byte == 0xff,
        9 => byte == 0x7f,
        10 => byte >= 3,
        12..32 => byte == MECHANISM[position - 12],
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Vec<u8> {
        let mut greeting = vec![0; GREETING];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        greeting
    }

    fn check(bytes: &[u8], cut: usize) -> Result<(), FrameRefusal> {
        let mut checker = FrameChecker::new(FrameLimits { message: 1000 });
        let mut stream = greeting();
        stream.extend(bytes);
        stream
            .chunks(cut)
            .try_for_each(|bytes| checker.check(bytes))
    }

    fn long(flags: u8, length: u64) -> Vec<u8> {
        [&[flags | LONG][..], &length.to_be_bytes()].concat()
    }

    #[test]
    fn announced_lengths_are_checked_for_any_split_of_the_bytes() {
        let ready = [&[IS_COMMAND, 5][..], b"READY"].concat();
        let small = [&[MORE, 2][..], b"id", &[0, 0]].concat();
        let halves = [long(MORE, 600), vec![7; 600], long(0, 500)].concat();
        let twice = [long(0, 600), vec![7; 600], long(0, 600)].concat();
        for cut in [1, 2, 7, 10_000] {
            assert_eq!(check(&ready, cut), Ok(()));
            assert_eq!(check(&[ready.clone(), small.clone()].concat(), cut), Ok(()));
            assert_eq!(check(&long(0, 1000), cut), Ok(()));
            assert_eq!(
                check(&long(0, 1 << 46), cut),
                Err(FrameRefusal::TooLong(1 << 46))
            );
            assert_eq!(check(&halves, cut), Err(FrameRefusal::TooLong(1100)));
            assert_eq!(check(&twice, cut), Ok(()));
            assert_eq!(
                check(&long(IS_COMMAND, 70_000), cut),
                Err(FrameRefusal::TooLong(70_000))
            );
            assert_eq!(check(&[0xff], cut), Err(FrameRefusal::Flags(0xff)));
        }
    }

    #[test]
    fn a_handshake_is_complete_at_the_end_of_ready() {
        let mut checker = FrameChecker::new(FrameLimits { message: 1000 });
        checker.check(&greeting()).unwrap();
        for part in [&[IS_COMMAND, 5][..], b"REA"] {
            checker.check(part).unwrap();
            assert!(!checker.greeted());
        }
        checker.check(b"DY").unwrap();
        assert!(checker.greeted());
    }

    #[test]
    fn other_greetings_are_refused() {
        for (position, byte) in [(0, b'G'), (9, 0), (10, 1), (12, b'C')] {
            let mut other = greeting();
            other[position] = byte;
            let mut checker = FrameChecker::new(FrameLimits { message: 1000 });
            assert_eq!(checker.check(&other), Err(FrameRefusal::Greeting));
        }
        let mut checker = FrameChecker::new(FrameLimits { message: 1000 });
        assert!(checker.check(b"GET / HTTP/1.1\r\n").is_err());
    }
}
