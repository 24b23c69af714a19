//! Tables of a run, for pages and as text.

use crate::analysis::{DriveRun, Standing, Verdict};
use serde::Serialize;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    pub title: String,
    pub note: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Shown in place of rows where there are none.
    pub empty: String,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub text: String,
    /// CSS class: good, bad, neutral, number, or none.
    pub class: &'static str,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), class: "" }
    }
    pub fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), class: "number" }
    }
    pub fn result(text: impl Into<String>, class: &'static str) -> Cell {
        Cell { text: text.into(), class }
    }
}

impl Table {
    pub fn new(title: &str, header: &[&str], empty: &str) -> Table {
        let header = header.iter().map(|h| h.to_string()).collect();
        Table { title: title.into(), note: String::new(), header, rows: Vec::new(), empty: empty.into() }
    }

    /// In columns of plain text, with two spaces before each line.
    pub fn plain(&self) -> String {
        let mut text = format!("{}\n", self.title);
        if self.rows.is_empty() {
            return text + "  " + &self.empty + "\n";
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

/// Milliseconds, with two decimals below ten.
fn ms(value: f64) -> Cell {
    Cell::number(if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") })
}

pub fn chains(verdict: &Verdict) -> Table {
    let header =
        ["chain", "due", "late", "absent", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "budget ms", "p99.9 of budget"];
    let mut table = Table::new("Latency of the chains", &header, "no chain was exercised");
    for chain in &verdict.chains {
        let s = &chain.stats;
        let star = if chain.safety { "" } else { " *" };
        let counts = [chain.expected, s.over_budget, chain.absent].map(|n| Cell::number(n.to_string()));
        let mut row = vec![Cell::text(format!("{}{star}", s.chain))];
        row.extend(counts);
        if s.count > 0 {
            row.extend([s.p50_ms, s.p99_ms, s.p999_ms, s.max_ms].map(ms));
        } else {
            row.extend(std::iter::repeat_n(Cell::number("–"), 4));
        }
        row.extend([ms(s.budget_ms), standing(chain.standing)]);
        table.rows.push(row);
    }
    table.note = "* not a safety chain".into();
    table
}

fn standing(standing: Standing) -> Cell {
    let class = match standing {
        Standing::Held => "good",
        Standing::NotHeld => "bad",
        Standing::NotExercised | Standing::NotShown | Standing::MachineCannot => "neutral",
    };
    Cell::result(standing.label(), class)
}

pub fn topics(verdict: &Verdict) -> Table {
    let header = ["safety topic", "due", "absent", "at least Hz", "most absent between", "99.9 % came"];
    let mut table = Table::new("Messages that must come all the time", &header, "none is known to be due");
    for topic in &verdict.topics {
        let absence = &topic.absence;
        let gap = absence.gaps.iter().max_by_key(|g| g.absent);
        table.rows.push(vec![
            Cell::text(absence.topic.spec().name),
            Cell::number(absence.expected.to_string()),
            Cell::number(absence.absent.to_string()),
            Cell::number(format!("{:.0}", absence.rate_hz)),
            Cell::number(gap.map_or("–".into(), |g| format!("{:.2} s and {:.2} s", g.from_s, g.to_s))),
            standing(topic.standing),
        ]);
    }
    table
}

pub fn reactions(run: &DriveRun) -> Table {
    let header = ["event", "from", "to", "warning", "after", "ended"];
    let mut table = Table::new("Events and warnings", &header, "no event that requires a warning, and no warning");
    for r in run.reactions() {
        let warning = match (r.warning, r.unrecorded) {
            (Some(w), _) => Cell::number(format!("{:.3} s", w.published_s)),
            (None, Some((from, to))) => Cell::result(format!("not recorded from {from:.1} s to {to:.1} s"), "neutral"),
            (None, None) => Cell::result("none", "bad"),
        };
        table.rows.push(vec![
            Cell::text(r.event.kind.name()),
            Cell::number(format!("{:.2} s", r.event.start_s)),
            Cell::number(format!("{:.2} s", r.event.end_s)),
            warning,
            Cell::number(r.delay_s().map_or("–".into(), |s| format!("{:+.0} ms", s * 1e3))),
            end(r.warning.and_then(|w| w.ended_s)),
        ]);
    }
    for h in run.false_alarms() {
        table.rows.push(vec![
            Cell::text(format!("no event: {}", h.kind.name())),
            Cell::number("–"),
            Cell::number("–"),
            Cell::number(format!("{:.3} s", h.published_s)),
            Cell::number("–"),
            end(h.ended_s),
        ]);
    }
    table
}

fn end(ended_s: Option<f64>) -> Cell {
    Cell::number(ended_s.map_or("–".into(), |s| format!("{s:.2} s")))
}

pub fn dialogue(run: &DriveRun) -> Table {
    let header = ["at", "utterance", "intent", "after", "reply", "first word after"];
    let mut table = Table::new("Utterances, intents and replies", &header, "no utterances");
    for x in run.dialogue() {
        let u = x.utterance;
        let after = |s: f64| Cell::number(format!("{:.0} ms", (s - u.end_s) * 1e3));
        let none = || Cell::result("–", "neutral");
        let intent = x.intent.map_or(Cell::result("none", "bad"), |i| {
            let slots: Vec<String> = i.slots.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let refused = if i.allowed || !i.proposal { "" } else { " (refused)" };
            Cell::text(format!("{} {}{refused}", i.name, slots.join(", ")).trim().to_owned())
        });
        let reply = x.reply.map_or(none(), |t| {
            let interrupted = if t.interrupted { " …(interrupted)" } else { "" };
            Cell::text(format!("{}{interrupted}", t.text.trim()))
        });
        table.rows.push(vec![
            Cell::number(format!("{:.2} s", u.start_s)),
            Cell::text(u.text.clone()),
            intent,
            x.intent.map_or(none(), |i| after(i.published_s)),
            reply,
            x.reply.and_then(|t| t.first_word_s()).map_or(none(), after),
        ]);
    }
    if run.observed.transcript_track() {
        table.note = "Utterances come from the transcript track of the drive, not from speech recognition.".into();
    }
    table
}

/// Most rows of the table of faults.
const MAX_FAULTS: usize = 15;

pub fn faults(run: &DriveRun) -> Table {
    let mut table = Table::new("Published faults", &["at", "node", "code", "subject", "text"], "none");
    // Faults after the end of the drive are caused by its end.
    let faults: Vec<_> = run.observed.faults.iter().filter(|f| f.t_s <= run.to_s).collect();
    for f in faults.iter().take(MAX_FAULTS) {
        table.rows.push(vec![
            Cell::number(format!("{:.2} s", f.t_s)),
            Cell::text(f.node.clone()),
            Cell::text(f.code.clone()),
            Cell::text(f.subject.clone()),
            Cell::text(f.text.clone()),
        ]);
    }
    let more = faults.len().saturating_sub(MAX_FAULTS);
    if more > 0 {
        table.note = format!("and {more} more");
    }
    table
}
