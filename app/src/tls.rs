//! The certificate and key of `--turns`, from PEM files, read anew when they change: certificates of ninety days are renewed while
//! the server runs. Connections that are there keep theirs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Between two looks whether the files are others.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A certificate chain and its key, as they were last read.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// When each of the files was last written, as far as known.
    stamps: Mutex<[Option<SystemTime>; 2]>,
}

impl Certificate {
    pub fn read(chain: &Path, key: &Path) -> anyhow::Result<Arc<Self>> {
        let stamps = Mutex::new([chain, key].map(written));
        let current = RwLock::new(Arc::new(certified(chain, key)?));
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), current, stamps }))
    }

    /// A server that speaks TLS 1.2 and 1.3.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<Arc<rustls::ServerConfig>> {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("no TLS version is supported")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        Ok(Arc::new(config))
    }

    /// Whether a file was written since the last look.
    fn has_changed(&self) -> bool {
        let now = [&self.chain, &self.key].map(|path| written(path));
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *stamps, now) != now
    }

    /// What was read was of no use: the files are looked at again, whether they are written or not.
    fn forget(&self) {
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = [None; 2];
    }

    /// What the files hold now; what they held before stays where that is of no use.
    fn read_anew(&self) -> anyhow::Result<()> {
        let fresh = Arc::new(certified(&self.chain, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Reads the certificate anew when its files change, and on SIGHUP, which ends nothing.
///
/// # Errors
/// The system delivers no signals.
pub async fn keep_fresh(certificate: Option<Arc<Certificate>>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = look.tick() => false,
        };
        match &certificate {
            // In any case it is looked at, so that nothing is read twice.
            Some(certificate) if certificate.has_changed() | asked => match certificate.read_anew() {
                Ok(()) => info!("the certificate was read anew: {}", certificate.chain.display()),
                Err(error) => {
                    certificate.forget();
                    warn!("the certificate of before is kept: {error:#}");
                }
            },
            None if asked => info!("SIGHUP: there is no certificate to read anew"),
            _ => {}
        }
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn certified(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| explain("certificate", certificate, error))?;
    ensure!(!chain.is_empty(), "the certificate {} holds no certificate in PEM form", certificate.display());
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| explain("key", key, error))?;
    CertifiedKey::from_der(chain, key_der, &default_provider()).map_err(|error| {
        anyhow!("the certificate {} and the key {} do not fit: {error}", certificate.display(), key.display())
    })
}

fn explain(what: &str, path: &Path, error: PemError) -> anyhow::Error {
    match error {
        PemError::Io(error) => anyhow!("cannot read the {what} {}: {error}", path.display()),
        PemError::NoItemsFound => anyhow!("the {what} {} holds no {what} in PEM form", path.display()),
        other => anyhow!("the {what} {} is not PEM: {other}", path.display()),
    }
}
