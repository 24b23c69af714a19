//! The tables of a run: for pages, and as text.

use crate::analysis::{Verdict, View, is_safety_chain, kind_name};
use serde::Serialize;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    pub title: String,
    pub note: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Said in place of rows where there are none.
    pub nothing: String,
}

/// What is in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub text: String,
    /// A class of the page's style: good, bad, calm, number, or none.
    pub class: &'static str,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), class: "" }
    }
    pub fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), class: "number" }
    }
    pub fn verdict(text: impl Into<String>, class: &'static str) -> Cell {
        Cell { text: text.into(), class }
    }
}

impl Table {
    pub fn new(title: &str, header: &[&str], nothing: &str) -> Table {
        let header = header.iter().map(|h| h.to_string()).collect();
        Table { title: title.into(), note: String::new(), header, rows: Vec::new(), nothing: nothing.into() }
    }

    /// In columns of plain text, with two spaces before each line.
    pub fn plain(&self) -> String {
        let mut text = format!("{}\n", self.title);
        if self.rows.is_empty() {
            return text + "  " + &self.nothing + "\n";
        }
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.text.chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(wide).collect();
        let numbers: Vec<bool> =
            (0..widths.len()).map(|c| self.rows[0].get(c).is_some_and(|c| c.class == "number")).collect();
        let line = |cells: Vec<&str>| {
            let cells = cells.iter().zip(&widths).zip(&numbers).map(|((text, &w), &number)| match number {
                true => format!("{text:>w$}"),
                false => format!("{text:<w$}"),
            });
            format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        text += &line(self.header.iter().map(String::as_str).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|c| c.text.as_str()).collect());
        }
        text
    }
}

/// Milliseconds with as many digits as they deserve.
fn ms(value: f64) -> Cell {
    Cell::number(if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") })
}

pub fn chains(view: &View) -> Table {
    let header = ["chain", "count", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "budget ms", "p99.9 within budget"];
    let mut table = Table::new("Latency of the chains", &header, "no chain was exercised");
    for s in view.observed.chains() {
        let verdict = Verdict::of(&s);
        let class = match verdict {
            Verdict::Held => "good",
            Verdict::NotHeld => "bad",
            Verdict::NotExercised => "calm",
        };
        let star = if is_safety_chain(&s.chain) { "" } else { " *" };
        let mut row = vec![Cell::text(format!("{}{star}", s.chain)), Cell::number(s.count.to_string())];
        if s.count > 0 {
            row.extend([s.p50_ms, s.p99_ms, s.p999_ms, s.max_ms].map(ms));
        } else {
            row.extend(std::iter::repeat_n(Cell::number("–"), 4));
        }
        row.extend([ms(s.budget_ms), Cell::verdict(verdict.words(), class)]);
        table.rows.push(row);
    }
    table.note = "* not a safety chain".into();
    table
}

pub fn reactions(view: &View) -> Table {
    let header = ["event of the truth", "from", "to", "warned", "after", "over"];
    let mut table = Table::new("Dangers and warnings", &header, "no event that is to be warned of, and no warning");
    for r in view.reactions() {
        let warning =
            r.warning.map_or(Cell::verdict("not warned", "bad"), |w| Cell::number(format!("{:.3} s", w.published_s)));
        table.rows.push(vec![
            Cell::text(r.event.kind.name()),
            Cell::number(format!("{:.2} s", r.event.start_s)),
            Cell::number(format!("{:.2} s", r.event.end_s)),
            warning,
            Cell::number(r.after_s().map_or("–".into(), |s| format!("{:+.0} ms", s * 1e3))),
            over(r.warning.and_then(|w| w.ended_s)),
        ]);
    }
    for h in view.unexplained() {
        table.rows.push(vec![
            Cell::text(format!("none: {}", kind_name(h.kind))),
            Cell::number("–"),
            Cell::number("–"),
            Cell::number(format!("{:.3} s", h.published_s)),
            Cell::number("–"),
            over(h.ended_s),
        ]);
    }
    table
}

fn over(ended_s: Option<f64>) -> Cell {
    Cell::number(ended_s.map_or("–".into(), |s| format!("{s:.2} s")))
}

pub fn dialogue(view: &View) -> Table {
    let header = ["said at", "text", "understood", "after", "reply", "first word after"];
    let mut table = Table::new("What was said, understood and answered", &header, "nothing was said");
    for x in view.dialogue() {
        let u = x.utterance;
        let after = |s: f64| Cell::number(format!("{:.0} ms", (s - u.end_s) * 1e3));
        let none = || Cell::verdict("–", "calm");
        let understood = x.intent.map_or(Cell::verdict("nothing", "bad"), |i| {
            let slots: Vec<String> = i.slots.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let refused = if i.allowed || !i.proposal { "" } else { " (refused)" };
            Cell::text(format!("{} {}{refused}", i.name, slots.join(", ")).trim().to_owned())
        });
        let reply = x.turn.map_or(none(), |t| {
            let stopped = if t.interrupted { " …(interrupted)" } else { "" };
            Cell::text(format!("{}{stopped}", t.text.trim()))
        });
        table.rows.push(vec![
            Cell::number(format!("{:.2} s", u.start_s)),
            Cell::text(u.text.clone()),
            understood,
            x.intent.map_or(none(), |i| after(i.published_s)),
            reply,
            x.turn.and_then(|t| t.first_word_s()).map_or(none(), after),
        ]);
    }
    if view.observed.transcript_track() {
        table.note = "The words come from the drive's transcript track. Nothing was recognised from the sound.".into();
    }
    table
}

/// More rows than this are no table any more.
const MOST_FAULTS: usize = 15;

pub fn faults(view: &View) -> Table {
    let mut table = Table::new("Faults that were told", &["at", "node", "code", "about", "text"], "none");
    // What comes after the end of the drive is about its end.
    let faults: Vec<_> = view.observed.faults.iter().filter(|f| f.t_s <= view.to_s).collect();
    for f in faults.iter().take(MOST_FAULTS) {
        table.rows.push(vec![
            Cell::number(format!("{:.2} s", f.t_s)),
            Cell::text(f.node.clone()),
            Cell::text(f.code.clone()),
            Cell::text(f.subject.clone()),
            Cell::text(f.text.clone()),
        ]);
    }
    let more = faults.len().saturating_sub(MOST_FAULTS);
    if more > 0 {
        table.note = format!("and {more} more");
    }
    table
}
