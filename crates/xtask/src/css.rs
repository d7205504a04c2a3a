//! The style sheet: one file, made from `style/main.css` and what it imports.
//!
//! Understands what the style folder uses, `@import "file.css";` and
//! `@import "file.css" layer(name);`, and refuses anything else rather than guess.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The sheet with every import put in its place.
pub(crate) fn bundle(entry: &Path) -> Result<String> {
    let mut sheet = String::new();
    import(entry, &mut Vec::new(), &mut sheet)?;
    Ok(sheet)
}

fn import(file: &Path, importing: &mut Vec<PathBuf>, sheet: &mut String) -> Result<()> {
    if importing.iter().any(|one| one == file) {
        bail!("{} imports itself", file.display());
    }
    importing.push(file.to_path_buf());
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let text = without_comments(&text);
    let mut rest = text.as_str();
    while let Some(start) = rest.find("@import") {
        let (before, statement) = rest.split_at(start);
        let Some((statement, after)) = statement.split_once(';') else {
            bail!("{}: an @import without an end", file.display());
        };
        let target = parse(statement)
            .with_context(|| format!("{}: cannot understand `{statement};`", file.display()))?;
        sheet.push_str(before);
        let path = file.with_file_name(target.path);
        if let Some(layer) = target.layer {
            sheet.push_str(&format!("@layer {layer} {{\n"));
        }
        import(&path, importing, sheet)?;
        if target.layer.is_some() {
            sheet.push_str("}\n");
        }
        rest = after;
    }
    sheet.push_str(rest);
    if !sheet.ends_with('\n') {
        sheet.push('\n');
    }
    importing.pop();
    Ok(())
}

struct Import<'a> {
    path: &'a str,
    layer: Option<&'a str>,
}

/// `@import "path" layer(name)`, with or without `url(…)` and the layer.
fn parse(statement: &str) -> Option<Import<'_>> {
    let words = statement.strip_prefix("@import")?.trim();
    let words = words.strip_prefix("url(").unwrap_or(words);
    let quote = words.chars().next().filter(|mark| "\"'".contains(*mark))?;
    let (path, rest) = words[1..].split_once(quote)?;
    let rest = rest.trim_start_matches(')').trim();
    let layer = match rest {
        "" => None,
        _ => Some(rest.strip_prefix("layer(")?.strip_suffix(')')?),
    };
    Some(Import { path, layer })
}

/// The sheet without comments, superfluous blanks and last semicolons.
///
/// Leaves alone what could mean something: strings, blanks between selectors and around operators.
pub(crate) fn minify(sheet: &str) -> String {
    const TIGHT: &str = "{};,";
    let mut small = String::with_capacity(sheet.len());
    let mut blank = false;
    for piece in pieces(sheet) {
        match piece {
            Piece::Comment => blank = true,
            Piece::Text(text) => {
                for mark in text.chars() {
                    if mark.is_whitespace() {
                        blank = true;
                        continue;
                    }
                    if mark == '}' && small.ends_with(';') {
                        small.pop();
                    }
                    let tight = TIGHT.contains(mark)
                        || small.is_empty()
                        || small.ends_with(|last| TIGHT.contains(last));
                    if blank && !tight {
                        small.push(' ');
                    }
                    blank = false;
                    small.push(mark);
                }
            }
            Piece::Verbatim(text) => {
                if blank && !small.ends_with(|last| TIGHT.contains(last)) {
                    small.push(' ');
                }
                blank = false;
                small.push_str(text);
            }
        }
    }
    small
}

fn without_comments(sheet: &str) -> String {
    pieces(sheet)
        .map(|piece| match piece {
            Piece::Comment => " ",
            Piece::Text(text) | Piece::Verbatim(text) => text,
        })
        .collect()
}

enum Piece<'a> {
    Comment,
    /// A string, quotes included, or an unquoted `url(…)`.
    Verbatim(&'a str),
    Text(&'a str),
}

/// Cuts a sheet into comments, strings and the rest, each up to its end.
fn pieces(sheet: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = sheet;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = ["/*", "\"", "'", "url("]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()
            .unwrap_or(rest.len());
        if start > 0 {
            let (text, after) = rest.split_at(start);
            rest = after;
            return Some(Piece::Text(text));
        }
        let end = if let Some(inside) = rest.strip_prefix("/*") {
            inside.find("*/").map(|at| at + 4)
        } else if let Some(inside) = rest.strip_prefix("url(") {
            // A quoted address is left to the next piece, which is a string.
            if inside.trim_start().starts_with(['"', '\'']) {
                Some(4)
            } else {
                rest.find(')').map(|at| at + 1)
            }
        } else {
            string_end(rest)
        };
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(if piece.starts_with("/*") {
            Piece::Comment
        } else {
            Piece::Verbatim(piece)
        })
    })
}

/// The place after the closing quote of the string that `text` starts with.
fn string_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, mark) in text.char_indices().skip(1) {
        match mark {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if mark == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minifying_keeps_what_has_a_meaning() {
        let sheet = "/* why */\n@layer a, b;\n.x  > .y :hover {\n  color : red;\n  width: calc(1px + 2px);\n}\n\
                     .z::after { content: \"/* not a comment */  ; \"; background: url( a;b ) }\n";
        assert_eq!(
            minify(sheet),
            "@layer a,b;.x > .y :hover{color : red;width: calc(1px + 2px)}\
             .z::after{content: \"/* not a comment */  ; \";background: url( a;b )}"
        );
    }

    #[test]
    fn a_string_may_hold_an_escaped_quote() {
        assert_eq!(
            minify(r#"a { content: "\"  }"; }  b {}"#),
            r#"a{content: "\"  }"}b{}"#
        );
    }

    #[test]
    fn imports_stand_in_their_place_and_in_their_layer() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-css-{}", std::process::id()));
        fs::create_dir_all(folder.join("parts"))?;
        fs::write(
            folder.join("main.css"),
            "@layer base, ui;\n/* @import \"no.css\"; */\n@import \"base.css\" layer(base);\n@import url('parts/all.css');\n.last {}\n",
        )?;
        fs::write(folder.join("base.css"), "html {}\n")?;
        fs::write(folder.join("parts/all.css"), "@import './one.css';")?;
        fs::write(folder.join("parts/one.css"), ".one {}")?;
        let sheet = minify(&bundle(&folder.join("main.css"))?);
        assert_eq!(sheet, "@layer base,ui;@layer base{html{}}.one{}.last{}");

        fs::write(folder.join("base.css"), "@import \"main.css\";")?;
        assert!(
            bundle(&folder.join("main.css")).is_err(),
            "a circle is refused"
        );
        fs::write(folder.join("base.css"), "@import \"x.css\" screen;")?;
        assert!(
            bundle(&folder.join("main.css")).is_err(),
            "a media query is refused"
        );
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
