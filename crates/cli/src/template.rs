//! Placeholders in arguments: `{name}` is replaced, `{{` and `}}` are braces.

use ayni_api::{ApiError, codes};

/// A text with placeholders, parsed once and filled in for each task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(String),
}

impl Template {
    /// Parses `text`; every placeholder must be one of `names`.
    pub(crate) fn parse(text: &str, names: &[String]) -> Result<Self, ApiError> {
        let wrong = |why: String| Err(ApiError::new(codes::INPUT_PLACEHOLDER, why));
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                // `{}` is a placeholder, `{{` and `}}` are braces.
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = if brace == "{" { rest.find('}') } else { None };
            let Some(end) = end else {
                return wrong(format!("`{text}` has a single `{brace}`"));
            };
            let name = &rest[..end];
            if !names.iter().any(|known| known == name) {
                let known: Vec<_> = names.iter().map(|name| format!("{{{name}}}")).collect();
                return wrong(format!(
                    "placeholder {{{name}}} in `{text}` has no value; there is {}",
                    known.join(" ")
                ));
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Hole(name.to_owned()));
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// A text that is taken as it is.
    pub(crate) fn verbatim(text: &str) -> Self {
        Self { parts: vec![Part::Text(text.to_owned())] }
    }

    /// Fills the placeholders in.
    pub(crate) fn fill(&self, values: &[(String, String)]) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Hole(name) => {
                    let value = values.iter().find(|(known, _)| known == name);
                    text.push_str(value.map_or("", |(_, value)| value));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_braces_escaped() {
        let names = ["".to_owned(), "name".to_owned()];
        let values = [("".to_owned(), "/in/a".to_owned()), ("name".to_owned(), "a".to_owned())];
        let check = |text: &str, expected: &str| {
            assert_eq!(Template::parse(text, &names).unwrap().fill(&values), expected, "{text}");
        };
        check("plain", "plain");
        check("{}", "/in/a");
        check("--in={}:{name}.out", "--in=/in/a:a.out");
        check("{{{name}}}", "{a}");
        check("{{}}", "{}");
        check("", "");
    }

    #[test]
    fn unknown_placeholders_name_what_exists() {
        let names = ["start".to_owned(), "end".to_owned()];
        let check = |text: &str| Template::parse(text, &names).unwrap_err().to_string();
        insta::assert_snapshot!(check("--x={stop}"), @"placeholder {stop} in `--x={stop}` has no value; there is {start} {end}");
        insta::assert_snapshot!(check("{"), @"`{` has a single `{`");
        insta::assert_snapshot!(check("a}b"), @"`a}b` has a single `}`");
    }
}
