//! A place in the text, and what can be read there.

/// Keywords that begin a statement.
const KEYWORDS: [&str; 30] = [
    "BA_",
    "BA_DEF_",
    "BA_DEF_DEF_",
    "BA_DEF_DEF_REL_",
    "BA_DEF_REL_",
    "BA_DEF_SGTYPE_",
    "BA_REL_",
    "BA_SGTYPE_",
    "BO_",
    "BO_TX_BU_",
    "BS_",
    "BU_",
    "BU_BO_REL_",
    "BU_EV_REL_",
    "BU_SG_REL_",
    "CAT_",
    "CAT_DEF_",
    "CM_",
    "ENVVAR_DATA_",
    "EV_",
    "EV_DATA_",
    "FILTER",
    "NS_",
    "SGTYPE_",
    "SG_",
    "SG_MUL_VAL_",
    "SIG_GROUP_",
    "SIG_VALTYPE_",
    "VAL_",
    "VAL_TABLE_",
];
/// A keyword that is also a common word: it counts only where a statement is expected.
const VERSION: &str = "VERSION";

/// A place in the text.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl<'a> Cursor<'a> {
    /// At the start of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.text.as_bytes()[self.at..self.at + bytes];
        self.line += passed.iter().filter(|&&b| b == b'\n').count();
        self.at += bytes;
    }

    /// Skips blanks and `//` comments.
    pub fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.advance(blank);
            if !self.rest().starts_with("//") {
                return;
            }
            self.skip_line();
        }
    }

    /// Skips to the start of the next line.
    pub fn skip_line(&mut self) {
        let rest = self.rest();
        self.advance(rest.find('\n').map_or(rest.len(), |end| end + 1));
    }

    /// Skips blanks within the line.
    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start_matches([' ', '\t']).len());
    }

    /// Whether the text ends here.
    pub fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    /// The word here, without passing it; empty when there is none.
    pub fn peek_word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
    }

    /// The word here.
    pub fn word(&mut self) -> Option<&'a str> {
        let word = self.peek_word();
        self.advance(word.len());
        (!word.is_empty()).then_some(word)
    }

    /// The character here, without passing it.
    pub fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    /// Passes the character if it is here.
    pub fn passes(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.advance(wanted.len_utf8());
        }
        there
    }

    /// The digits here.
    pub fn digits(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        self.advance(digits.len());
        (!digits.is_empty()).then_some(digits)
    }

    /// The characters of a number here, with sign, fraction and exponent.
    pub fn number(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
        while let Some(&byte) = bytes.get(end) {
            let exponent = matches!(byte, b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E');
            if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || exponent) {
                break;
            }
            end += 1;
        }
        let number = &rest[..end];
        if !number.contains(|c: char| c.is_ascii_digit()) || number.starts_with(['e', 'E']) {
            return None;
        }
        self.advance(end);
        Some(number)
    }

    /// The text in quotes here, within its line.
    pub fn line_text(&mut self) -> Result<String, String> {
        let before = self.clone();
        let text = self.text()?;
        if text.contains('\n') {
            *self = before;
            return Err("the text in quotes has no end in its line".into());
        }
        Ok(text)
    }

    /// The text in quotes here, which may go over several lines; `\"` is a quote in it.
    pub fn text(&mut self) -> Result<String, String> {
        self.skip_space();
        let Some(rest) = self.rest().strip_prefix('"') else { return Err(self.expected("a text in quotes")) };
        let (mut end, mut escaped) = (None, false);
        for (i, c) in rest.char_indices() {
            if c == '"' && !escaped {
                end = Some(i);
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        let end = end.ok_or("the text in quotes has no end")?;
        self.advance(end + 2);
        Ok(rest[..end].replace("\\\"", "\""))
    }

    /// Passes names up to the end of the line, and on the next line after a comma.
    pub fn skip_names(&mut self) {
        loop {
            self.skip_blanks();
            let rest = self.rest();
            if rest.starts_with(',') {
                self.advance(1);
                self.skip_space();
                continue;
            }
            let name = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if name == 0 {
                return;
            }
            self.advance(name);
        }
    }

    /// Passes what is left of a statement of no interest: to its semicolon, or to the line where the next one begins.
    pub fn skip_statement(&mut self) {
        loop {
            let rest = self.rest();
            let Some(stop) = rest.find(['"', ';', '\n']) else { return self.advance(rest.len()) };
            self.advance(stop);
            match rest.as_bytes()[stop] {
                b';' => return self.advance(1),
                b'"' if self.text().is_err() => return self.skip_to_keyword(self.line),
                b'\n' => {
                    self.advance(1);
                    if self.begins_statement() {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Goes to the next line after `line` that begins with a keyword.
    pub fn skip_to_keyword(&mut self, line: usize) {
        let begin = self.text[..self.at].rfind('\n').map_or(0, |end| end + 1);
        if self.line > line && self.text[begin..self.at].trim().is_empty() && self.begins_statement() {
            return;
        }
        loop {
            self.skip_line();
            if self.rest().is_empty() || self.begins_statement() {
                return;
            }
        }
    }

    fn begins_statement(&self) -> bool {
        let rest = self.rest().trim_start_matches([' ', '\t']);
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        KEYWORDS.contains(&word) || word == VERSION
    }

    /// Passes the list of symbols after `NS_`: the rest of the line, and lines of one word each.
    pub fn skip_symbols(&mut self) {
        self.skip_line();
        loop {
            let rest = self.rest();
            let line = rest.lines().next().unwrap_or_default().trim();
            if rest.is_empty() || line.is_empty() || !line.chars().all(is_word) {
                return;
            }
            self.skip_line();
        }
    }

    /// What was expected, and what is here.
    pub fn expected(&mut self, what: &str) -> String {
        self.skip_space();
        const SHOWN: usize = 20;
        let found: String = self.rest().lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        match found.as_str() {
            "" => format!("expected {what}, found the end of the file"),
            found => format!("expected {what}, found {found:?}"),
        }
    }
}
