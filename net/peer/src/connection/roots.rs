//! Whose certificates are believed, where a relay or a server is reached over TLS.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Whose certificates are believed, where a relay or a server is reached over TLS. By default: what this machine believes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
/// # let own_ca = made.cert.pem();
/// use twocan::connection::Roots;
///
/// let roots = Roots::system().and_pem(own_ca.as_bytes())?;
/// # drop(roots);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Roots(Option<Arc<Own>>);

struct Own {
    with_system: bool,
    certificates: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

/// This is not PEM, or there is no certificate in it that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate (PEM) that can be believed")]
pub struct RootsError;

impl Roots {
    /// What this machine believes.
    pub fn system() -> Self {
        Self(None)
    }

    /// Nobody but the certificates of this file (PEM).
    pub fn only_pem(pem: &[u8]) -> Result<Self, RootsError> {
        Self::own(false, pem, &[])
    }

    /// And the certificates of this file (PEM): a certificate authority of one's own, or a self-signed certificate.
    pub fn and_pem(self, pem: &[u8]) -> Result<Self, RootsError> {
        match &self.0 {
            None => Self::own(true, pem, &[]),
            Some(own) => Self::own(own.with_system, pem, &own.certificates),
        }
    }

    fn own(with_system: bool, pem: &[u8], before: &[CertificateDer<'static>]) -> Result<Self, RootsError> {
        let mut certificates = before.to_vec();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| RootsError)?;
            RootCertStore::empty().add(certificate.clone()).map_err(|_| RootsError)?;
            certificates.push(certificate);
        }
        if certificates.len() == before.len() {
            return Err(RootsError);
        }
        Ok(Self(Some(Arc::new(Own { with_system, certificates, config: OnceLock::new() }))))
    }

    /// The configuration of a TLS client; made once, shared by all that have these roots. Reads the system's files the
    /// first time, and so may block.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        match &self.0 {
            None => SYSTEM.get_or_init(|| client_config(true, &[])).clone(),
            Some(own) => own.config.get_or_init(|| client_config(own.with_system, &own.certificates)).clone(),
        }
    }
}

fn client_config(with_system: bool, certificates: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    if with_system {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::debug!(%error, "a certificate of this system cannot be read");
        }
        store.add_parsable_certificates(native.certs);
    }
    store.add_parsable_certificates(certificates.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(store)
        .with_no_client_auth();
    Arc::new(config)
}

impl fmt::Debug for Roots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => formatter.write_str("Roots(system)"),
            Some(own) if own.with_system => write!(formatter, "Roots(system and {})", own.certificates.len()),
            Some(own) => write!(formatter, "Roots({})", own.certificates.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        assert_eq!(Roots::only_pem(b"").unwrap_err(), RootsError);
        assert_eq!(Roots::system().and_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap_err(), RootsError);
    }

    #[test]
    fn certificates_add_up() {
        let pem = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.pem();
        let roots = Roots::only_pem(pem("one").as_bytes()).unwrap().and_pem(pem("two").as_bytes()).unwrap();
        assert_eq!(format!("{roots:?}"), "Roots(2)");
        assert!(Arc::ptr_eq(&roots.client_config(), &roots.clone().client_config()));
    }
}
