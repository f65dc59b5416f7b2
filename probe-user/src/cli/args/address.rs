//! The address of an agent, as people write it.

use hyper::Uri;

/// Port where nothing else is said: that of the agent.
const PORT: u16 = 9435;

/// Path where nothing else is said.
const PATH: &str = "/metrics";

/// Where an agent serves its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAddress {
    /// Name or address of its host; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query of the metrics.
    pub path: String,
}

impl AgentAddress {
    /// Reads `HOST`, `HOST:PORT`, `:PORT` or `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    ///
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("the agent serves plain http; write http://HOST:PORT".into());
        }
        let wrong =
            || "must be HOST:PORT, such as 127.0.0.1:9435, or http://HOST:PORT/metrics".to_owned();
        let is_url = text.starts_with("http://");
        let text = match (is_url, text.strip_prefix(':')) {
            (true, _) => text.to_owned(),
            (false, Some(port)) => format!("http://localhost:{port}"),
            (false, None) => format!("http://{text}"),
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = authority.port_u16();
        // What is no port is read as none.
        let expected = port.map_or_else(String::new, |port| format!(":{port}"));
        let rest = authority.as_str().strip_prefix(authority.host());
        if host.is_empty() || rest != Some(&*expected) {
            return Err(wrong());
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: host.to_owned(),
            // A URL without a port means that of http.
            port: port.unwrap_or(if is_url { 80 } else { PORT }),
            path: if path == "/" {
                PATH.into()
            } else {
                path.into()
            },
        })
    }

    /// For a message and the header `host`: `HOST:PORT`.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_ports_and_urls() {
        for (text, host, port, path) in [
            ("127.0.0.1:9435", "127.0.0.1", 9435, "/metrics"),
            ("node-7", "node-7", 9435, "/metrics"),
            (":9436", "localhost", 9436, "/metrics"),
            ("[::1]:1", "::1", 1, "/metrics"),
            ("http://node-7:9435/metrics", "node-7", 9435, "/metrics"),
            ("http://node-7:9435/", "node-7", 9435, "/metrics"),
            ("http://node-7/metrics", "node-7", 80, "/metrics"),
            ("http://[::1]:9435/a?b=c", "::1", 9435, "/a?b=c"),
        ] {
            let address = AgentAddress::parse(text).unwrap();
            let expected = AgentAddress {
                host: host.into(),
                port,
                path: path.into(),
            };
            assert_eq!(address, expected, "{text}");
        }
        let v6 = AgentAddress::parse("[::1]:1").unwrap();
        assert_eq!(v6.authority(), "[::1]:1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in [
            "",
            ":",
            "a b",
            "http://",
            "host:99999",
            "host:",
            "u@host:1",
            "::1",
        ] {
            let why = AgentAddress::parse(text).unwrap_err();
            assert!(why.contains("127.0.0.1:9435"), "{text}: {why}");
        }
        let why = AgentAddress::parse("https://node-7:9435").unwrap_err();
        assert!(why.contains("plain http"), "{why}");
    }
}
