//! Reads what `/metrics` says: Prometheus text 0.0.4 or OpenMetrics text.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name with its suffix, such as `nodeprobe_syscalls_total`.
    pub name: String,
    /// Labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty where it is missing.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// All samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// In the order in which they came.
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Reads a whole body.
    ///
    /// # Errors
    ///
    /// If a line is no sample and no comment.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines
            .map(|line| sample(line).with_context(|| format!("line `{line}`")))
            .collect::<Result<_>>()?;
        Ok(Self { samples })
    }

    /// The samples of a name with these labels.
    pub fn with<'a, 'b>(
        &'a self,
        name: &'b str,
        labels: &'b [(&'b str, &'b str)],
    ) -> impl Iterator<Item = &'a Sample> + use<'a, 'b> {
        self.samples.iter().filter(move |sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.label(key) == *value)
        })
    }

    /// Their sum.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether there is any sample of a name.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }
}

fn sample(line: &str) -> Result<Sample> {
    let name_end = line.find(['{', ' ']).context("no value")?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    // A timestamp or an exemplar may follow.
    let value = rest.split_whitespace().next().context("no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().context("the value is no number")?,
    };
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Reads labels up to the closing brace and returns what follows it.
fn labels(mut text: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").context("a label has no value")?;
        let (value, rest) = quoted(rest)?;
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "label {name} is there twice"
        );
        text = rest;
    }
}

/// Reads up to the closing quote and returns what follows it.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match chars.next().context("nothing is escaped")?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    anyhow::bail!("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_both_text_forms_are_read() {
        let text = "# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"1\",y=\"p\\\"q\\\\ \\n}\"} 3\n\
                    b 1.5e3 1700000000\nc_bucket{le=\"+Inf\"} 4 # {t=\"x\"} 0.5\nd +Inf\n# EOF\n";
        let scrape = Scrape::parse(text).unwrap();
        assert_eq!(scrape.samples.len(), 4);
        assert_eq!(scrape.samples[0].label("y"), "p\"q\\ \n}");
        assert_eq!(scrape.sum("a_total", &[("x", "1")]), 3.0);
        assert_eq!(scrape.sum("b", &[]), 1500.0);
        assert_eq!(scrape.sum("c_bucket", &[("le", "+Inf")]), 4.0);
        assert!(scrape.has("d") && !scrape.has("e"));
    }

    #[test]
    fn what_is_no_sample_is_an_error() {
        for line in [
            "a",
            "a{",
            "a{x=\"1} 2",
            "a{x=\"1\",x=\"2\"} 2",
            "a x",
            "a{x} 1",
        ] {
            assert!(Scrape::parse(line).is_err(), "{line}");
        }
    }
}
