//! Plain tables: columns as wide as their widest cell, two spaces between, no lines.

/// Lays out rows under a header. Columns named with a leading `>` are aligned to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> =
        header.iter().map(|name| name.trim_start_matches('>').chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let names: Vec<String> =
        header.iter().map(|name| name.trim_start_matches('>').to_uppercase()).collect();
    for row in std::iter::once(&names).chain(rows) {
        let mut line = String::new();
        for ((cell, width), name) in row.iter().zip(&widths).zip(header) {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            if name.starts_with('>') {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `name  value` lines.
pub(crate) fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// `1 task`, `2 tasks`.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    let count_text = crate::quantity::show_exact(count.into());
    if count == 1 { format!("{count_text} {noun}") } else { format!("{count_text} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["bcd".to_owned(), "7".to_owned()]];
        insta::assert_snapshot!(table(&["name", ">tasks"], &rows), @r"
        NAME  TASKS
        a        10
        bcd       7
        ");
    }
}
