//! `docs/alerts.md`: what a person on call reads.

use std::fs;

/// The paragraphs of `docs/alerts.md`.
#[derive(Debug, Clone)]
pub struct Runbooks {
    text: String,
}

impl Runbooks {
    /// Reads the file.
    ///
    /// # Panics
    /// Where it is not there.
    #[must_use]
    pub fn read() -> Self {
        let path = stack::root().join("docs/alerts.md");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { text }
    }

    /// The names of the alerts that have a heading of their own.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| line.strip_prefix("### AckGuard").map(|_| &line["### ".len()..]))
    }

    /// What stands below the heading of an alert, up to the next heading; empty where it has none.
    #[must_use]
    pub fn paragraph(&self, alert: &str) -> String {
        let heading = format!("### {alert}");
        let below = self.text.lines().skip_while(|line| *line != heading).skip(1);
        below.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    /// The addresses of the admin ports that commands of the document ask by GET: port and path.
    #[must_use]
    pub fn requests(&self) -> Vec<(u16, String)> {
        let mut found: Vec<(u16, String)> = Vec::new();
        for rest in self.text.split("http://127.0.0.1:").skip(1) {
            let end = rest.find(|c: char| c.is_whitespace() || "'\"`)>".contains(c)).unwrap_or(rest.len());
            let (port, path) = rest[..end].split_once('/').unwrap_or((&rest[..end], ""));
            if let Ok(port) = port.parse() {
                found.push((port, format!("/{path}")));
            }
        }
        found
    }

    /// The expressions in its blocks of PromQL, one a line.
    #[must_use]
    pub fn expressions(&self) -> Vec<&str> {
        let blocks = self.text.split("```promql\n").skip(1);
        let inside = blocks.map(|block| block.split("```").next().unwrap_or_default());
        inside.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).collect()
    }
}
