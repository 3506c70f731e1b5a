//! The certificate and key of `--turns`, from PEM files.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads a certificate chain and its key, and makes a server of them that speaks TLS 1.2 and 1.3.
pub fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| explain("certificate", certificate, error))?;
    ensure!(!chain.is_empty(), "the certificate {} holds no certificate in PEM form", certificate.display());
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| explain("key", key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no TLS version is supported")?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| {
            anyhow!(
                "the certificate {} and the key {} do not fit: {error}",
                certificate.display(),
                key.display()
            )
        })?;
    Ok(Arc::new(config))
}

fn explain(what: &str, path: &Path, error: PemError) -> anyhow::Error {
    match error {
        PemError::Io(error) => anyhow!("cannot read the {what} {}: {error}", path.display()),
        PemError::NoItemsFound => anyhow!("the {what} {} holds no {what} in PEM form", path.display()),
        other => anyhow!("the {what} {} is not PEM: {other}", path.display()),
    }
}
