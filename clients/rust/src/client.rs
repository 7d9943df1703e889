//! The channel to one server, with a method for each call.

use std::{env, fmt::Display, fs, path::PathBuf, time::Duration};

use tokio::time::Instant;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::{Events, Part, Result, v1::*};

const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// How a server is reached. All may be left out.
#[derive(Clone, Default)]
pub struct Options {
    /// `HOST:PORT` or `unix:PATH`. Default: `CORRAL_ADDRESS`, else `127.0.0.1:50051`.
    pub address: Option<String>,
    /// Whether to use TLS; a `ca_file` turns it on too.
    pub tls: bool,
    /// PEM file of the authorities that vouch for the server. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The bearer token the server asks for. Without TLS anyone on the way can read it.
    pub token: Option<String>,
}

/// A client of one Corral server; clones share its connection.
#[derive(Debug, Clone)]
pub struct Client {
    /// The connection, for stubs.
    pub channel: Channel,
    authorization: Option<AsciiMetadataValue>,
    pub(crate) timeout: Option<Duration>,
}

impl Client {
    /// Makes a client, inside a tokio runtime; nothing is connected before the first call.
    pub fn new(options: Options) -> Result<Self> {
        let channel = endpoint(&options)?.connect_lazy();
        let authorization = options.token.map(bearer).transpose()?;
        Ok(Client { channel, authorization, timeout: None })
    }

    /// The same client, whose calls have this deadline, which the server knows too. Default: none.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Client { timeout: Some(timeout), ..self.clone() }
    }

    pub(crate) fn request<Q>(&self, message: Q, deadline: Option<Instant>) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        request
    }
}

include!("gen/calls.rs");

fn endpoint(options: &Options) -> Result<Endpoint> {
    let given = options.address.clone().or_else(|| env::var("CORRAL_ADDRESS").ok());
    let address = given.filter(|given| !given.is_empty()).unwrap_or(DEFAULT_ADDRESS.to_owned());
    let is_secure = options.tls || options.ca_file.is_some();
    let uri = match is_secure {
        _ if address.starts_with("unix:") => address.clone(),
        true => format!("https://{address}"),
        false => format!("http://{address}"),
    };
    let endpoint = Endpoint::from_shared(uri)
        .map_err(|why| invalid(&address, why))?
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    let tls = match &options.ca_file {
        None if !is_secure => return Ok(endpoint),
        None => ClientTlsConfig::new().with_native_roots(),
        Some(file) => {
            let pem = fs::read(file).map_err(|why| invalid(file.display(), why))?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
    };
    Ok(endpoint.tls_config(tls).map_err(|why| invalid(&address, why))?)
}

fn bearer(token: String) -> Result<AsciiMetadataValue> {
    let value = format!("Bearer {token}").parse();
    let mut value: AsciiMetadataValue = value.map_err(|why| invalid("the token", why))?;
    value.set_sensitive(true); // nobody sees it in a log
    Ok(value)
}

fn invalid(what: impl Display, why: impl Display) -> Status {
    Status::invalid_argument(format!("{what}: {why}"))
}
