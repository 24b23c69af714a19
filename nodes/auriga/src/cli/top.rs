//! `auriga top`.

use crate::output::print;
use auriga_msgs::{Any, Criticality, NODES, NodeSpec, TopicId, v1};
use auriga_runtime::{config::RuntimeConfig, transport::Link};
use std::{collections::BTreeMap, fmt::Write, io::IsTerminal, process::ExitCode, time::Duration};
use tokio::sync::mpsc;

/// Show the resources that running nodes use and the grants of the arbiter, live.
#[derive(Debug, clap::Args)]
pub struct Top {
    /// First port of the nodes on this machine.
    #[arg(long, env = "AURIGA_BASE_PORT", default_value_t = 17440)]
    base_port: u16,
    /// Stop after this many updates; 0: until Ctrl-C.
    #[arg(long, default_value_t = 0)]
    count: u64,
}

/// Subscribes like a node, with a port above all of them.
const READER: NodeSpec = NodeSpec {
    name: "top",
    criticality: Criticality::Infotainment,
    port: 30,
    start_limit_s: 1,
    keeps_stale: false,
    reads: &[TopicId::Usage, TopicId::ArbiterGrants],
};
const PERIOD: Duration = Duration::from_secs(1);

impl Top {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config =
            RuntimeConfig { zenoh_base_port: self.base_port, shared_memory_mib: 0, ..RuntimeConfig::default() };
        let mut link = Link::open(&config, READER)?;
        let (send, incoming) = mpsc::channel(1024);
        for &topic in READER.reads {
            let send = send.clone();
            let deliver = move |_: &str, payload| {
                // The queue is full when the terminal blocks; the next second brings new figures.
                let _ = Any::decode(topic, payload).map(|any| send.try_send(any));
            };
            link.subscribe(topic, deliver)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.show(incoming));
        link.close();
        Ok(ExitCode::SUCCESS)
    }

    async fn show(self, mut incoming: mpsc::Receiver<Any>) {
        let mut figures = Figures::default();
        let mut updates = 0;
        let mut tick = tokio::time::interval(PERIOD);
        tick.tick().await;
        loop {
            tokio::select! {
                Some(any) = incoming.recv() => figures.take(any),
                _ = tick.tick() => {
                    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
                    print(format_args!("{clear}{}", figures.table()));
                    updates += 1;
                    if updates == self.count {
                        break;
                    }
                }
                _ = tokio::signal::ctrl_c() => break,
            }
        }
    }
}

#[derive(Default)]
struct Figures {
    /// The last two reports of each node.
    usage: BTreeMap<String, (v1::Usage, Option<v1::Usage>)>,
    grants: Option<v1::Grants>,
}

impl Figures {
    fn take(&mut self, any: Any) {
        match any {
            // Only nodes of the table have a row; names of others come from the wire without end.
            Any::Usage(usage) if NODES.iter().any(|node| node.name == usage.node) => {
                let before = self.usage.remove(&usage.node).map(|(last, _)| last);
                self.usage.insert(usage.node.clone(), ((*usage).clone(), before));
            }
            Any::ArbiterGrants(grants) => self.grants = Some((*grants).clone()),
            _ => {}
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<12} {:>8} {:>7} {:>9} {:>9} {:>9} {:>6} {:>7} {:>6} {:>8}",
            "node", "pid", "CPU", "memory", "in/s", "out/s", "lost", "late", "stale", "restarts"
        );
        for node in NODES {
            let Some((now, before)) = self.usage.get(node.name) else { continue };
            let (cpu, incoming, outgoing) = before.as_ref().map_or((0.0, 0.0, 0.0), |before| {
                let seconds = now.uptime_ns.saturating_sub(before.uptime_ns).max(1) as f64 * 1e-9;
                let rate = |a: u64, b: u64| a.saturating_sub(b) as f64 / seconds;
                (
                    rate(now.cpu_ns, before.cpu_ns) * 1e-7,
                    rate(now.messages_in, before.messages_in),
                    rate(now.messages_out, before.messages_out),
                )
            });
            let _ = writeln!(
                text,
                "{:<12} {:>8} {cpu:>5.1} % {:>5} MiB {incoming:>9.0} {outgoing:>9.0} {:>6} {:>7} {:>6} {:>8}",
                node.name,
                now.pid,
                now.rss_bytes >> 20,
                now.messages_lost,
                now.deadline_misses,
                now.messages_stale,
                now.restarts
            );
        }
        for usage in self.usage.values().map(|(now, _)| now).filter(|now| now.restarts > 0) {
            // From another process: one line, and no control characters for the terminal.
            let reason: String = usage.restart_reason.chars().filter(|c| !c.is_control()).take(200).collect();
            let _ = writeln!(text, "{} was restarted by the supervisor: {reason}", usage.node);
        }
        if self.usage.is_empty() {
            text.push_str("no node reports; is something launched with this base port?\n");
        }
        if let Some(grants) = &self.grants {
            text.push('\n');
            text.push_str(&auriga_arbiter::explain(grants));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_share_and_rates_are_computed_between_two_reports() {
        let usage = |uptime_s: u64, cpu_ms: u64, messages_in| v1::Usage {
            node: "fusion".into(),
            pid: 7,
            uptime_ns: uptime_s * 1_000_000_000,
            cpu_ns: cpu_ms * 1_000_000,
            messages_in,
            ..Default::default()
        };
        let mut figures = Figures::default();
        figures.take(Any::Usage(usage(1, 100, 50).into()));
        figures.take(Any::Usage(usage(3, 600, 250).into()));
        let table = figures.table();
        let row = table.lines().find(|line| line.starts_with("fusion")).unwrap();
        // 0.5 s of CPU time and 200 messages in 2 s.
        assert!(row.contains(" 25.0 %") && row.contains(" 100 "), "{row}");
        assert!(Figures::default().table().contains("no node reports"));
        assert!(!table.contains("was restarted"), "{table}");
        let restarted =
            v1::Usage { restarts: 2, restart_reason: "hung:\x1b[2J no\nheartbeat".into(), ..usage(4, 600, 250) };
        figures.take(Any::Usage(restarted.into()));
        assert!(figures.table().contains("fusion was restarted by the supervisor: hung:[2J noheartbeat\n"));
    }
}
