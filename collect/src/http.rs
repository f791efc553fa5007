//! Calls over HTTP: one endpoint, one key, no detours.

use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::error::CollectError;
use crate::key::ApiKey;
use crate::transport::{Outgoing, REPLY_BYTES_MAX, Reply, SendError, Transport};

/// The endpoint that is asked unless another is named.
pub const ENDPOINT_DEFAULT: &str = "https://api.openai.com/v1";
const PATH: &str = "/chat/completions";
/// Servers close idle connections; a call on one that is being closed has an unknown outcome.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// An OpenAI-compatible service over HTTP.
///
/// Redirects are not followed, so the key reaches the endpoint's host alone. Certificates are
/// checked by rustls against those that the system trusts.
pub struct HttpTransport {
    client: Client,
    url: Url,
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// How long a call may take.
///
/// | field | default | effect |
/// |---|---|---|
/// | `connect` | 10 s | until there is a connection |
/// | `whole` | 120 s | from the connection's beginning to the reply's last byte |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the reply's last byte.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            whole: Duration::from_mins(2),
        }
    }
}

impl HttpTransport {
    /// A client of the service at `endpoint`, its base address such as
    /// `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`CollectError::Endpoint`] when the address holds a password or a query, or would carry the
    /// key in clear text to another machine; [`CollectError::Client`] when there is no client.
    pub fn new(
        endpoint: &str,
        key: Option<&ApiKey>,
        timeouts: Timeouts,
    ) -> Result<Self, CollectError> {
        let (url, is_local) = address(endpoint, key.is_some())?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = format!("Bearer {}", key.expose());
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| client("a key that is no header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut builder = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .pool_idle_timeout(IDLE_MAX)
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.whole);
        if is_local {
            builder = builder.no_proxy();
        }
        let client_ = builder
            .build()
            .map_err(|error| client(&error.to_string()))?;
        Ok(Self {
            client: client_,
            url,
        })
    }
}

fn client(message: &str) -> CollectError {
    CollectError::Client {
        message: message.to_owned(),
    }
}

/// The address to post to, and whether it is this machine.
fn address(endpoint: &str, has_key: bool) -> Result<(Url, bool), CollectError> {
    let wrong = |why: &str| CollectError::Endpoint {
        why: why.to_owned(),
    };
    let mut url = Url::parse(endpoint.trim()).map_err(|_| wrong("is not an address"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds a user name or password; the key belongs in the environment",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or fragment, which no base address has"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let ip = host.parse::<std::net::IpAddr>();
    let is_local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    if url.scheme() == "http" && !is_local && has_key {
        return Err(wrong(
            "is http:// on another machine, where anyone on the way could read the key",
        ));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(PATH).unwrap_or(path);
    url.set_path(&format!("{path}{PATH}"));
    Ok((url, is_local))
}

impl Transport for HttpTransport {
    fn endpoint(&self) -> &str {
        self.url.as_str()
    }

    async fn send(&self, call: Outgoing<'_>) -> Result<Reply, SendError> {
        let request = self.client.post(self.url.clone()).body(call.body.to_vec());
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let mut reply = Reply {
            status: status.as_u16(),
            retry_after: header(RETRY_AFTER),
            date: header(DATE),
            body: Vec::new(),
        };
        if !status.is_success() {
            return Ok(reply);
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if reply.body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err(SendError::TooLarge);
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    }
}

fn failed(error: &reqwest::Error) -> SendError {
    if error.is_connect() {
        SendError::Connect
    } else if error.is_timeout() {
        SendError::Timeout
    } else {
        SendError::Dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_or_refused() {
        for (endpoint, has_key, want) in [
            (
                "https://api.example.com/v1",
                true,
                Some("https://api.example.com/v1/chat/completions"),
            ),
            (
                "https://api.example.com/v1/",
                true,
                Some("https://api.example.com/v1/chat/completions"),
            ),
            (
                "https://api.example.com/v1/chat/completions",
                true,
                Some("https://api.example.com/v1/chat/completions"),
            ),
            (
                "http://127.0.0.1:9/v1",
                true,
                Some("http://127.0.0.1:9/v1/chat/completions"),
            ),
            (
                "http://[::1]:9",
                true,
                Some("http://[::1]:9/chat/completions"),
            ),
            (
                "http://localhost:9",
                true,
                Some("http://localhost:9/chat/completions"),
            ),
            (
                "http://models.lan/v1",
                false,
                Some("http://models.lan/v1/chat/completions"),
            ),
            ("http://models.lan/v1", true, None),
            ("http://127.0.0.1.example.com/v1", true, None),
            ("https://me:secret@api.example.com/v1", true, None),
            ("https://api.example.com/v1?key=secret", true, None),
            ("ftp://api.example.com/v1", true, None),
            ("api.example.com/v1", true, None),
            ("", true, None),
        ] {
            let got = address(endpoint, has_key);
            if let Err(error) = &got {
                assert_eq!(error.code(), "P0904");
                assert!(!error.to_string().contains("secret"), "{error}");
            }
            assert_eq!(
                got.ok().map(|(url, _)| url.to_string()).as_deref(),
                want,
                "{endpoint}"
            );
        }
    }

    #[test]
    fn the_key_is_in_no_debug_text() {
        let key = ApiKey::of_variable("K", Some("sk-secret".to_owned())).expect("a key");
        let transport = HttpTransport::new("http://127.0.0.1:9", Some(&key), Timeouts::default());
        let transport = transport.expect("a client");
        assert!(!format!("{transport:?} {:?}", transport.client).contains("sk-secret"));
    }
}
