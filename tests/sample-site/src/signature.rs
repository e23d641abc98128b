//! Signed media addresses: `?stp=..&oh=00_{signature}&oe={expiry}`, as the upstream's media hosts have them.

/// Seconds since 1970, in hexadecimal as the upstream writes them: far away, and long past.
const FRESH: &str = "7FFFFFFF";
const EXPIRED: &str = "5F000000";

/// Makes and checks signatures. They look like the real thing and hold no secret: FNV-1a finished by the splitmix64 mixer.
pub(crate) struct Signer {
    seed: u64,
}

/// What the query of a media address is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Valid,
    Expired,
    Wrong,
}

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// 32 hexadecimal digits that depend on the text and the seed.
    pub(crate) fn sign(&self, text: &str) -> String {
        let hash = fnv1a(text.as_bytes()) ^ self.seed;
        format!("{:016x}{:016x}", mix(hash), mix(hash ^ u64::MAX))
    }

    /// The query for a media file.
    pub(crate) fn query(&self, name: &str, expired: bool) -> String {
        let expiry = if expired { EXPIRED } else { FRESH };
        format!(
            "stp=dst-jpg_e35&_nc_cat=1&oh=00_{}&oe={expiry}",
            self.sign(&format!("{name} {expiry}"))
        )
    }

    /// Judges the query of a media address.
    pub(crate) fn check(&self, name: &str, query: &str) -> Signature {
        let value = |key: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(key))
                .unwrap_or_default()
        };
        let expiry = value("oe=");
        if value("oh=00_") != self.sign(&format!("{name} {expiry}")) {
            Signature::Wrong
        } else if expiry == FRESH {
            Signature::Valid
        } else {
            Signature::Expired
        }
    }
}

/// The 64-bit FNV-1a hash.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finishing step of splitmix64: every input bit changes about half of the output's.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_name_expiry_and_seed_alone() {
        let signer = Signer::new(7);
        let fresh = signer.query("a.jpg", false);
        assert_eq!(signer.check("a.jpg", &fresh), Signature::Valid);
        assert_eq!(
            signer.check("a.jpg", &signer.query("a.jpg", true)),
            Signature::Expired
        );
        assert_eq!(signer.check("b.jpg", &fresh), Signature::Wrong);
        assert_eq!(
            signer.check("a.jpg", &fresh.replace(FRESH, "7FFFFFFE")),
            Signature::Wrong
        );
        assert_eq!(signer.check("a.jpg", ""), Signature::Wrong);
        assert_eq!(Signer::new(8).check("a.jpg", &fresh), Signature::Wrong);
    }
}
