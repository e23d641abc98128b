//! TLS to the servers: whom to believe, and who we are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openssl::{
    error::ErrorStack,
    pkey::PKey,
    ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion},
    x509::{X509, store::X509StoreBuilder},
};
use scylla::client::session::OpenSsl010Config;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Files of TLS, all PEM. Naming `ca` turns TLS on; a server's certificate must then be signed by it and hold the address at
/// which the server is reached, as an IP address among its alternative names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates of the authorities that sign servers; no other is believed.
    pub ca: Option<PathBuf>,
    /// Our certificate and those between it and its authority, for servers that ask for one.
    pub cert: Option<PathBuf>,
    /// The key of `cert`, without a passphrase; only we may read it.
    pub key: Option<PathBuf>,
}

impl TlsConfig {
    /// What is wrong with it or its files, naming the setting; `None` when nothing is.
    pub(super) fn problem(&self) -> Option<String> {
        self.builder().err()
    }

    /// What the driver needs; `None` where TLS is off. The files are read now: a role that is started again has the new ones.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the setting and the file that can't be used.
    pub(super) fn context(&self) -> Result<Option<OpenSsl010Config>, StoreError> {
        match self.builder() {
            Ok(builder) => Ok(builder.map(OpenSsl010Config::new)),
            Err(problem) => Err(StoreError::Corrupt(format!("database.{problem}"))),
        }
    }

    fn builder(&self) -> Result<Option<SslConnectorBuilder>, String> {
        if self.cert.is_some() != self.key.is_some() {
            return Err("tls.cert and tls.key belong together".to_owned());
        }
        let Some(ca) = &self.ca else {
            return match self.cert {
                Some(_) => Err("tls.cert needs tls.ca, which turns TLS on".to_owned()),
                None => Ok(None),
            };
        };
        let broken = |error: ErrorStack| format!("tls can't be used: {error}");
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(broken)?;
        let version = Some(SslVersion::TLS1_2);
        builder.set_min_proto_version(version).map_err(broken)?;
        read("ca", ca, |pem| trust(&mut builder, pem))?;
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            read("cert", cert, |pem| present(&mut builder, pem))?;
            read("key", key, |pem| {
                // OpenSSL would ask at the terminal for a passphrase.
                let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0))?;
                builder.set_private_key(&key)?;
                builder.check_private_key().map(|()| true)
            })?;
        }
        Ok(Some(builder))
    }
}

/// Believes these authorities and no others; whether there is one.
fn trust(builder: &mut SslConnectorBuilder, pem: &[u8]) -> Result<bool, ErrorStack> {
    let authorities = X509::stack_from_pem(pem)?;
    let any = !authorities.is_empty();
    let mut trusted = X509StoreBuilder::new()?;
    for authority in authorities {
        trusted.add_cert(authority)?;
    }
    builder.set_cert_store(trusted.build());
    Ok(any)
}

/// Shows these certificates, the first of which is ours; whether there is one.
fn present(builder: &mut SslConnectorBuilder, pem: &[u8]) -> Result<bool, ErrorStack> {
    let mut chain = X509::stack_from_pem(pem)?.into_iter();
    let Some(own) = chain.next() else {
        return Ok(false);
    };
    builder.set_certificate(&own)?;
    for between in chain {
        builder.add_extra_chain_cert(between)?;
    }
    Ok(true)
}

/// Reads a file and makes use of it; `false` says that nothing was in it.
fn read(
    key: &str,
    path: &Path,
    usage: impl FnOnce(&[u8]) -> Result<bool, ErrorStack>,
) -> Result<(), String> {
    let named = |problem: String| format!("tls.{key} can't be used: {}: {problem}", path.display());
    let pem = fs::read(path).map_err(|error| named(error.to_string()))?;
    match usage(&pem) {
        Ok(true) => Ok(()),
        Ok(false) => Err(named("holds no certificate in PEM".to_owned())),
        Err(error) => Err(named(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use openssl::{asn1::Asn1Time, hash::MessageDigest, rsa::Rsa, symm::Cipher, x509::X509Builder};
    use tempfile::TempDir;

    use super::*;

    /// A folder with a certificate `cert.pem`, its key `key.pem`, the same with a passphrase as `locked.pem`, another key
    /// `other.pem`, and a text `text.pem`.
    fn files() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let other = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut certificate = X509Builder::new().unwrap();
        certificate.set_pubkey(&key).unwrap();
        let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        certificate.set_not_before(&from.unwrap()).unwrap();
        certificate.set_not_after(&to.unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"passphrase");
        for (name, pem) in [
            ("cert.pem", certificate.build().to_pem().unwrap()),
            ("key.pem", key.private_key_to_pem_pkcs8().unwrap()),
            ("other.pem", other.private_key_to_pem_pkcs8().unwrap()),
            ("locked.pem", locked.unwrap()),
            ("text.pem", b"no certificate".to_vec()),
        ] {
            fs::write(folder.path().join(name), pem).unwrap();
        }
        folder
    }

    #[test]
    fn tls_is_off_until_an_authority_is_named_and_each_mistake_is_named_with_its_file() {
        let folder = files();
        let config = |ca: &str, cert: &str, key: &str| {
            let file = |name: &str| (!name.is_empty()).then(|| folder.path().join(name));
            TlsConfig {
                ca: file(ca),
                cert: file(cert),
                key: file(key),
            }
        };
        assert!(TlsConfig::default().context().unwrap().is_none());
        for good in [
            config("cert.pem", "", ""),
            config("cert.pem", "cert.pem", "key.pem"),
        ] {
            assert_eq!(good.problem(), None);
            assert!(good.context().unwrap().is_some());
        }
        for (bad, told) in [
            (config("", "cert.pem", "key.pem"), vec!["tls.ca"]),
            (config("cert.pem", "cert.pem", ""), vec!["tls.key"]),
            (config("gone.pem", "", ""), vec!["tls.ca", "gone.pem"]),
            (config("text.pem", "", ""), vec!["tls.ca", "text.pem"]),
            (
                config("cert.pem", "text.pem", "key.pem"),
                vec!["tls.cert", "text.pem"],
            ),
            (
                config("cert.pem", "cert.pem", "other.pem"),
                vec!["tls.key", "other.pem"],
            ),
            (
                config("cert.pem", "cert.pem", "locked.pem"),
                vec!["tls.key", "locked.pem"],
            ),
        ] {
            let problem = bad.problem().unwrap();
            for part in told {
                assert!(problem.contains(part), "{problem}");
            }
            let error = bad.context().err().unwrap().to_string();
            assert!(error.contains("database.tls"), "{error}");
        }
    }
}
