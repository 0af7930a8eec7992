//! TLS by rustls, with ring: it builds wherever a C compiler is.

use std::sync::Once;

/// A client builder whose TLS has a provider, also in programs that installed none.
pub(super) fn client_builder() -> reqwest::ClientBuilder {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // A provider that the program installed itself stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}
