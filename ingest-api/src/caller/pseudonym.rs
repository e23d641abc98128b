//! Names for clients from which nobody learns their addresses: HMAC-SHA-256 under SECRET_KEY. A plain hash of an IPv4 address
//! could be undone by trying all of them.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A client's name; for each use another.
pub type Pseudonym = [u8; 32];

/// Makes names with a key.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

impl Pseudonyms {
    /// Names under this secret.
    ///
    /// # Errors
    /// Never in fact: HMAC takes a key of any length.
    pub fn new(secret: &[u8]) -> Result<Self, hmac::digest::InvalidLength> {
        Hmac::new_from_slice(secret).map(Self)
    }

    /// The name, for `what`, of the client at this address. IPv6 addresses of one /64 are one client: a household or a server has
    /// as many to choose from.
    #[must_use]
    pub fn of_address(&self, what: &str, address: IpAddr) -> Pseudonym {
        match address.to_canonical() {
            IpAddr::V4(address) => self.of(what, "4", &address.octets()),
            IpAddr::V6(address) => self.of(what, "6", &address.octets()[..8]),
        }
    }

    /// The name, for `what`, of the holder of a key: the same with each of its keys.
    #[must_use]
    pub fn of_holder(&self, what: &str, holder: &str) -> Pseudonym {
        self.of(what, "k", holder.as_bytes())
    }

    fn of(&self, what: &str, kind: &str, who: &[u8]) -> Pseudonym {
        let mut mac = self.0.clone();
        for part in [what.as_bytes(), b"\0", kind.as_bytes(), b"\0", who] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(secret: &str, what: &str, address: &str) -> Pseudonym {
        let names = Pseudonyms::new(secret.as_bytes()).unwrap();
        names.of_address(what, address.parse().unwrap())
    }

    #[test]
    fn it_is_hmac_sha_256() {
        // `printf 'read\x004\x00\xcb\x00\x71\x09' | openssl dgst -sha256 -hmac key`
        let expected = "de4bf7bf9d899a2e4e95dbfeb6b16268178aff3b9d73a840ea5d0df2be0849a1";
        assert_eq!(hex::encode(name("key", "read", "203.0.113.9")), expected);
    }

    #[test]
    fn names_depend_on_the_secret_the_use_and_the_client() {
        let one = name("key", "read", "203.0.113.9");
        assert_eq!(one, name("key", "read", "::ffff:203.0.113.9"));
        for other in [
            name("other", "read", "203.0.113.9"),
            name("key", "write", "203.0.113.9"),
            name("key", "read", "203.0.113.10"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_holder_is_no_address() {
        let names = Pseudonyms::new(b"key").unwrap();
        let holder = names.of_holder("vote", "acme");
        assert_eq!(holder, names.of_holder("vote", "acme"));
        assert_ne!(holder, names.of_holder("vote", "acme2"));
        // The bytes of `203.0.113.9`, were they a name.
        let like = names.of_holder("vote", "aaaa");
        assert_ne!(like, names.of_address("vote", [b'a'; 4].into()));
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let one = name("key", "read", "2001:db8:1:2::1");
        assert_eq!(one, name("key", "read", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(one, name("key", "read", "2001:db8:1:3::1"));
        // `203.0.113.9` and a network that begins with the same bytes.
        assert_ne!(
            name("key", "read", "203.0.113.9"),
            name("key", "read", "cb00:7109::")
        );
    }
}
