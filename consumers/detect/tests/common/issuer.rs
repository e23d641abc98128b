//! An issuer of content credentials: a root, and a certificate that it signed for one who signs.

use c2pa::{BoxedSigner, SigningAlg, create_signer};
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Builder, X509Name,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage,
            SubjectKeyIdentifier,
        },
    },
};

/// Somebody who signs, and the certificate (PEM) of who answers for that.
pub fn issuer() -> (BoxedSigner, String) {
    let (root_key, key) = (key(), key());
    let root = certificate("Root", &root_key, None);
    let leaf = certificate("Camera", &key, Some((&root, &root_key)));
    let chain = [leaf.to_pem().unwrap(), root.to_pem().unwrap()].concat();
    let key = key.private_key_to_pem_pkcs8().unwrap();
    let signer = create_signer::from_keys(&chain, &key, SigningAlg::Es256, None).unwrap();
    (signer, String::from_utf8(root.to_pem().unwrap()).unwrap())
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(name: &str, key: &PKey<Private>, by: Option<(&X509, &PKey<Private>)>) -> X509 {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("O", "Camera Works").unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(by.map_or(&*subject, |(root, _)| root.subject_name()))
        .unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(30).unwrap())
        .unwrap();
    let mut constraints = BasicConstraints::new();
    let mut usage = KeyUsage::new();
    usage.critical();
    let usage = match by {
        None => usage.key_cert_sign(),
        Some(_) => usage.digital_signature(),
    };
    if by.is_none() {
        constraints.critical().ca();
    }
    builder
        .append_extension(constraints.build().unwrap())
        .unwrap();
    builder.append_extension(usage.build().unwrap()).unwrap();
    if by.is_some() {
        let purpose = ExtendedKeyUsage::new().email_protection().build().unwrap();
        builder.append_extension(purpose).unwrap();
    }
    let context = builder.x509v3_context(by.map(|(root, _)| &**root), None);
    let identifier = SubjectKeyIdentifier::new().build(&context).unwrap();
    builder.append_extension(identifier).unwrap();
    if by.is_some() {
        let context = builder.x509v3_context(by.map(|(root, _)| &**root), None);
        let authority = AuthorityKeyIdentifier::new()
            .keyid(true)
            .build(&context)
            .unwrap();
        builder.append_extension(authority).unwrap();
    }
    builder
        .sign(by.map_or(key, |(_, root)| root), MessageDigest::sha256())
        .unwrap();
    builder.build()
}
