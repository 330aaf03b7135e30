//! The guard against replayed messages.

use super::{RawMessage, WireError};
use std::collections::{HashSet, VecDeque};

/// The number of remembered signatures; jupyter_client's `digest_history_size`.
const REMEMBERED: usize = 1 << 16;

/// Rejects messages whose signature has been seen before. Receivers have to opt in.
#[derive(Debug, Default)]
pub struct ReplayGuard {
    seen: HashSet<Signature>,
    order: VecDeque<Signature>,
}

/// The start of a signature, in hexadecimal digits; long enough to be unique.
type Signature = [u8; 32];

fn beginning(signature: &[u8]) -> Signature {
    let mut beginning = Signature::default();
    let length = beginning.len().min(signature.len());
    beginning[..length].copy_from_slice(&signature[..length]);
    beginning
}

impl ReplayGuard {
    /// Admits a message once; unsigned messages always.
    ///
    /// # Errors
    /// Returns an error if its signature is among the last 65,536 admitted ones.
    pub fn admit(&mut self, message: &RawMessage) -> Result<(), WireError> {
        if message.signature.is_empty() {
            return Ok(());
        }
        let signature = beginning(&message.signature);
        if !self.seen.insert(signature) {
            return Err(WireError::Duplicate);
        }
        self.order.push_back(signature);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::SigningKey;
    use bytes::Bytes;

    fn signed(key: &SigningKey, n: usize) -> RawMessage {
        let header = Bytes::from(n.to_string());
        RawMessage::sign(
            vec![],
            [header, Bytes::new(), Bytes::new(), Bytes::new()],
            vec![],
            key,
        )
    }

    #[test]
    fn a_message_is_admitted_once_while_it_is_remembered() {
        let key = SigningKey::sha256("secret");
        let mut guard = ReplayGuard::default();
        guard.admit(&signed(&key, 0)).unwrap();
        assert!(matches!(
            guard.admit(&signed(&key, 0)),
            Err(WireError::Duplicate)
        ));
        for n in 1..=REMEMBERED {
            guard.admit(&signed(&key, n)).unwrap();
        }
        assert_eq!(guard.seen.len(), REMEMBERED);
        guard.admit(&signed(&key, 0)).unwrap();
    }

    #[test]
    fn unsigned_messages_are_not_counted() {
        let mut guard = ReplayGuard::default();
        for _ in 0..2 {
            guard.admit(&signed(&SigningKey::sha256(""), 0)).unwrap();
        }
    }
}
