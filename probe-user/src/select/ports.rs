//! Ports as an operator writes them.

use std::{fmt, str::FromStr};

/// A port, or all from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Whether a port is one of these.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!(
                "`{text}` is no port from 0 to 65535, or range such as 8000-8099"
            )),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_both_of_its_ends() {
        let ports: Ports = "8000-8010".parse().unwrap();
        let inside = [7999, 8000, 8010, 8011].map(|port| ports.contains(port));
        assert_eq!(inside, [false, true, true, false]);
        let single: Ports = "53".parse().unwrap();
        assert!(single.contains(53) && !single.contains(54));
        for text in ["8000-8010", "53", "0-65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_no_port() {
        for text in ["", "-", "70000", "20-10", "1-", "-1", "http", "1-2-3"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
