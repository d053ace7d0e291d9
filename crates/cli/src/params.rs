//! The table of `--params`: CSV with a header, a task a row.
//!
//! Deliberately not here: which file it is, and what becomes of a row (`expand`).

use std::collections::HashSet;

use crate::expand::Split;

/// Reads a table with a header.
pub(crate) fn read(reader: impl std::io::Read) -> Result<Split, String> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(reader);
    let header = csv.headers().map_err(|error| error.to_string())?;
    let columns: Vec<String> =
        header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    if columns.iter().all(String::is_empty) {
        return Err("it has no header".to_owned());
    }
    let mut seen = HashSet::new();
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() || name.contains(['{', '}']) {
            return Err(format!("column {} has no usable name: `{name}`", at + 1));
        }
        if !seen.insert(name) {
            return Err(format!("two columns are named `{name}`"));
        }
    }
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() < columns.len() {
            let missing = columns[record.len()..].join("`, `");
            return Err(format!("line {line} has no value for `{missing}`"));
        }
        if record.len() > columns.len() {
            let (have, want) = (record.len(), columns.len());
            return Err(format!("line {line} has {have} fields, the header {want}"));
        }
        rows.push(record.iter().map(str::to_owned).collect());
    }
    if rows.is_empty() {
        return Err("it has a header but no rows".to_owned());
    }
    Ok(Split::Params { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_make_no_sense_are_refused_with_the_line() {
        let check = |text: &str| read(text.as_bytes()).unwrap_err();
        insta::assert_snapshot!(check(""), @"it has no header");
        insta::assert_snapshot!(check("a,b\n"), @"it has a header but no rows");
        insta::assert_snapshot!(check("a,b,a\n1,2,3\n"), @"two columns are named `a`");
        insta::assert_snapshot!(check("a,,c\n1,2,3\n"), @"column 2 has no usable name: ``");
        insta::assert_snapshot!(check("a,b,c\n1,2,3\n1\n"), @"line 3 has no value for `b`, `c`");
        insta::assert_snapshot!(check("a,b\n1,2,3\n"), @"line 2 has 3 fields, the header 2");
        let Split::Params { columns, rows } = read("\u{feff}a,b\n\"1,5\", 2\n".as_bytes()).unwrap()
        else {
            panic!()
        };
        assert_eq!((columns.join("|"), rows[0].join("|")), ("a|b".into(), "1,5|2".into()));
    }
}
