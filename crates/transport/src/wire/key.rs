//! Keys and digests of signatures.

use super::raw::RawMessage;
use bytes::Bytes;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use std::fmt;
use std::str::FromStr;

/// The digest of signatures; the `signature_scheme` of a connection file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// `hmac-sha256`, Jupyter's default.
    Sha256,
    /// `hmac-sha384`.
    Sha384,
    /// `hmac-sha512`.
    Sha512,
}

impl SignatureScheme {
    /// Returns the name used in connection files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

/// The error of creating a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The signature scheme is unknown; any other would fail on the first message.
    #[error("unknown signature scheme `{0}` (known: hmac-sha256, hmac-sha384, hmac-sha512)")]
    UnknownScheme(String),
}

impl FromStr for SignatureScheme {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        match name {
            "hmac-sha256" => Ok(Self::Sha256),
            "hmac-sha384" => Ok(Self::Sha384),
            "hmac-sha512" => Ok(Self::Sha512),
            other => Err(KeyError::UnknownScheme(other.to_owned())),
        }
    }
}

/// A key that signs messages and verifies signatures; an empty key does neither, as in Jupyter.
#[derive(Clone)]
pub struct SigningKey {
    scheme: SignatureScheme,
    secret: String,
    digest: Digest,
}

/// A digest initialized with the key, since every signature starts with it.
#[derive(Clone)]
enum Digest {
    Unsigned,
    /// Unreachable: the digest does not accept the key, but HMAC accepts keys of any length.
    Unusable,
    Sha256(Hmac<sha2::Sha256>),
    Sha384(Hmac<sha2::Sha384>),
    Sha512(Hmac<sha2::Sha512>),
}

/// The size of the longest signature (SHA-512), in bytes.
const MAX_SIGNATURE: usize = 64;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.scheme.as_str())
    }
}

impl SigningKey {
    /// Creates a key for a scheme.
    pub fn new(scheme: SignatureScheme, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        let digest = match scheme {
            _ if secret.is_empty() => Digest::Unsigned,
            SignatureScheme::Sha256 => keyed(&secret).map_or(Digest::Unusable, Digest::Sha256),
            SignatureScheme::Sha384 => keyed(&secret).map_or(Digest::Unusable, Digest::Sha384),
            SignatureScheme::Sha512 => keyed(&secret).map_or(Digest::Unusable, Digest::Sha512),
        };
        Self {
            scheme,
            secret,
            digest,
        }
    }

    /// Creates a key for the default scheme.
    pub fn sha256(secret: impl Into<String>) -> Self {
        Self::new(SignatureScheme::Sha256, secret)
    }

    /// Creates a random key.
    pub fn fresh(scheme: SignatureScheme) -> Self {
        Self::new(scheme, uuid::Uuid::new_v4().to_string())
    }

    /// Creates the key for a connection file's `key` and `signature_scheme`.
    ///
    /// # Errors
    /// Returns an error if the scheme is unknown.
    pub fn from_file(scheme: &str, key: &str) -> Result<Self, KeyError> {
        Ok(Self::new(scheme.parse()?, key))
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// Returns the secret, for connection files.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the signature frame of a message: lower-case hex, empty for an empty key.
    pub fn sign(&self, parts: [&[u8]; 4]) -> Bytes {
        match &self.digest {
            Digest::Unsigned | Digest::Unusable => Bytes::new(),
            Digest::Sha256(keyed) => sign(keyed, parts),
            Digest::Sha384(keyed) => sign(keyed, parts),
            Digest::Sha512(keyed) => sign(keyed, parts),
        }
    }

    /// Returns true if the signature of a message is valid; compares in constant time.
    pub fn verifies(&self, message: &RawMessage) -> bool {
        let mut buffer = [0; MAX_SIGNATURE];
        let signature = decode_hex(&message.signature, &mut buffer);
        let (parts, signature) = (message.signed_parts(), signature.unwrap_or_default());
        match &self.digest {
            Digest::Unsigned => true,
            Digest::Unusable => false,
            Digest::Sha256(keyed) => verify(keyed, parts, signature),
            Digest::Sha384(keyed) => verify(keyed, parts, signature),
            Digest::Sha512(keyed) => verify(keyed, parts, signature),
        }
    }
}

/// Decodes hexadecimal digits of either case; `None` if they are malformed or do not fit.
fn decode_hex<'a>(text: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = HEXLOWER_PERMISSIVE.decode_len(text.len()).ok()?;
    let bytes = buffer.get_mut(..length)?;
    HEXLOWER_PERMISSIVE.decode_mut(text, bytes).ok()?;
    Some(bytes)
}

fn keyed<M: KeyInit>(secret: &str) -> Option<M> {
    M::new_from_slice(secret.as_bytes()).ok()
}

fn digest<M: Mac + Clone>(keyed: &M, parts: [&[u8]; 4]) -> M {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac
}

fn sign<M: Mac + Clone>(keyed: &M, parts: [&[u8]; 4]) -> Bytes {
    let signature = digest(keyed, parts).finalize().into_bytes();
    Bytes::from(HEXLOWER.encode(&signature))
}

fn verify<M: Mac + Clone>(keyed: &M, parts: [&[u8]; 4], signature: &[u8]) -> bool {
    digest(keyed, parts).verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &SigningKey) -> RawMessage {
        RawMessage::sign(
            vec![],
            ["{\"msg_id\": 1}", "{}", "{}", "{}"].map(Bytes::from),
            vec![],
            key,
        )
    }

    #[test]
    fn every_scheme_verifies_only_its_own_signatures() {
        let keys = [
            SignatureScheme::Sha256,
            SignatureScheme::Sha384,
            SignatureScheme::Sha512,
        ]
        .map(SigningKey::fresh);
        for (i, key) in keys.iter().enumerate() {
            let signed = message(key);
            for (j, other) in keys.iter().enumerate() {
                assert_eq!(other.verifies(&signed), i == j);
            }
            for part in 0..4 {
                let mut changed = signed.clone();
                let slot = match part {
                    0 => &mut changed.header,
                    1 => &mut changed.parent_header,
                    2 => &mut changed.metadata,
                    _ => &mut changed.content,
                };
                *slot = Bytes::from_static(b"{ }");
                assert!(!key.verifies(&changed));
            }
        }
    }

    #[test]
    fn an_empty_key_neither_signs_nor_refuses() {
        let key = SigningKey::sha256("");
        let unsigned = message(&key);
        assert!(unsigned.signature.is_empty());
        assert!(key.verifies(&unsigned));
        assert!(!SigningKey::sha256("secret").verifies(&unsigned));
    }

    #[test]
    fn an_unknown_scheme_is_refused() {
        let refused = SigningKey::from_file("hmac-md5", "secret").map(|_| ());
        assert_eq!(refused, Err(KeyError::UnknownScheme("hmac-md5".into())));
    }
}
