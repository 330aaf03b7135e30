//! RFC 4648 with padding: how bytes stand in JSON.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    let digit = |value: u32, shift: u32| DIGITS[(value >> shift & 63) as usize] as char;
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let value = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(digit(value, 18));
        text.push(digit(value, 12));
        text.push(if chunk.len() > 1 {
            digit(value, 6)
        } else {
            '='
        });
        text.push(if chunk.len() > 2 {
            digit(value, 0)
        } else {
            '='
        });
    }
    text
}

/// Text as bytes; `None` when it is no base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 || body.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() * 3 / 4);
    for chunk in body.chunks(4) {
        let mut value = 0;
        for at in 0..4 {
            let digit = match chunk.get(at) {
                Some(byte) => value_of(*byte)?,
                None => 0,
            };
            value = value << 6 | digit;
        }
        let [_, first, second, third] = u32::to_be_bytes(value);
        bytes.extend_from_slice(&[first, second, third][..chunk.len() - 1]);
    }
    Some(bytes)
}

fn value_of(byte: u8) -> Option<u32> {
    let (base, first) = match byte {
        b'A'..=b'Z' => (0, b'A'),
        b'a'..=b'z' => (26, b'a'),
        b'0'..=b'9' => (52, b'0'),
        b'+' => return Some(62),
        b'/' => return Some(63),
        _ => return None,
    };
    Some(base + u32::from(byte - first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_both_ways() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        for wrong in ["Zg", "Z===", "Zg=a", "Zm9v!mFy"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
