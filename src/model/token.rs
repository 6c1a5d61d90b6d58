//! Bearer tokens (RFC 6750), and what is kept of one.
//!
//! A token is 256 random bits, and what is kept is its SHA-256. A slow hash, as for passwords, makes guessing dear where
//! there is something to guess; at 256 bits nobody guesses at any speed, and every request would have to pay for it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What every token begins with, so that one that got somewhere by mistake can be found.
const PREFIX: &str = "casemate_";

/// A token. It can be shown to whoever it is for, and is never printed by itself.
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn random() -> Result<Self, Errno> {
        let mut bytes = [0_u8; 32];
        // So few come whole or not at all (getrandom(2)).
        getrandom(&mut bytes, GetRandomFlags::empty())?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, for whoever it is for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The SHA-256 (FIPS 180-4) of a token. Compared in a time that does not depend on where two differ.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// That of what a client has sent as its token.
    #[must_use]
    pub fn of(sent: &[u8]) -> Self {
        Self(Sha256::digest(sent).into())
    }

    /// Whether both are of the same token.
    #[must_use]
    pub fn same(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// In hexadecimal digits, as the file of tokens has it.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl FromStr for TokenDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let two = text.get(at..at + 2).filter(|_| digits).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(two, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_by_nothing_but_its_name_for_that() {
        let token = Token::random().unwrap();
        let text = token.reveal();
        assert_eq!((text.len(), text.starts_with(PREFIX)), (PREFIX.len() + 43, true));
        // b64token of RFC 6750.
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(format!("{token:?}{:?}", token.digest()), "……");
        assert_ne!(text, Token::random().unwrap().reveal());
    }

    #[test]
    fn digests_are_told_apart_in_every_bit_and_read_back() {
        // The example of FIPS 180-4.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = TokenDigest::of(b"abc");
        assert_eq!((digest.hex().as_str(), bool::from(abc.parse::<TokenDigest>().unwrap().same(&digest))), (abc, true));
        for bit in 0..256 {
            let mut other = digest;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(other.same(&digest)), "bit {bit}");
        }
        for text in ["", &abc[1..], &abc.replace('b', "g"), &abc.replacen("ba", "é", 1), &format!("{abc}0")] {
            assert!(text.parse::<TokenDigest>().is_err(), "{text}");
        }
    }
}
