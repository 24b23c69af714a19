//! Admission of the shipped table, of published examples, and on machines that are not what was analysed.

use crate::common::{config, table};
use auriga_arbiter::table::{
    WorkloadTable,
    admission::{
        AdmissionError, admit, analyse,
        curve::{Source, Stream},
        explain,
        machine::Machine,
        model::{Activation, Origin, System, Thread},
        response,
    },
};
use std::{fs, path::Path};

/// Threads on core 0, each with a source of its own: (cost, period, priority, jitter, blocking).
fn system(rows: &[(u64, u64, u8, u64, u64)]) -> System {
    let mut system = System::default();
    for (index, &(cost, period, priority, jitter, blocking)) in rows.iter().enumerate() {
        let streams = vec![Stream::periodic(period, jitter)];
        system.sources.push(Source { name: format!("s{index}"), streams, distance: 0, delay: 0 });
        let activation = Activation {
            on: format!("s{index}"),
            origins: vec![Origin::Source { index, hop: 0 }],
            limit: None,
            cost,
            lesser: 0,
            suspension: 0,
            suspensions: 0,
            times: 1,
        };
        system.threads.push(Thread {
            name: format!("t{index}"),
            core: 0,
            priority,
            blocking,
            release: 0,
            unordered: false,
            deadline: None,
            activations: vec![activation],
        });
    }
    system
}

fn responses(rows: &[(u64, u64, u8, u64, u64)]) -> Vec<u64> {
    response::analyse(&system(rows)).unwrap().responses.iter().map(|r| r.total()).collect()
}

#[test]
fn published_examples_have_the_published_response_times() {
    // Burns and Wellings, "Real-Time Systems and Programming Languages": C, T = 3, 7; 3, 12; 5, 20 -> R = 3, 6, 20.
    assert_eq!(responses(&[(3, 7, 3, 0, 0), (3, 12, 2, 0, 0), (5, 20, 1, 0, 0)]), [3, 6, 20]);
    // Lehoczky 1990: C, T = 26, 70; 62, 100. The fifth of seven activations in the busy period takes longest.
    assert_eq!(responses(&[(26, 70, 2, 0, 0), (62, 100, 1, 0, 0)]), [26, 118]);
}

#[test]
fn blocking_adds_and_jitter_lets_a_higher_priority_interfere_twice() {
    assert_eq!(responses(&[(2, 10, 2, 0, 0), (3, 20, 1, 0, 2)]), [2, 7]);
    assert_eq!(responses(&[(2, 10, 2, 9, 0), (3, 20, 1, 0, 0)]), [4 - 1, 7]);
}

#[test]
fn an_activation_by_several_sources_counts_all_of_them() {
    // One thread with two sources, as fusion has: the second event waits for the first.
    let mut two = system(&[(3, 10, 1, 0, 0), (4, 10, 1, 0, 0)]);
    let other = two.threads.remove(1).activations.remove(0);
    two.threads[0].activations.push(other);
    let bounds = response::analyse(&two).unwrap();
    assert_eq!(bounds.responses[0].total(), 7);
}

#[test]
fn an_overloaded_core_is_refused() {
    let e = response::analyse(&system(&[(6, 10, 2, 0, 0), (5, 10, 1, 0, 0)])).unwrap_err();
    assert!(matches!(e, response::Unbounded::Overloaded { thread: 1, .. }), "{e:?}");
}

#[test]
fn the_shipped_table_is_admitted_and_says_which_budgets_are_not_shown() {
    let admission = admit(&table()).unwrap();
    assert_eq!(admission.chains.len(), 7);
    for chain in &admission.chains {
        let most = chain.accepted_ms.unwrap_or(chain.budget_ms);
        assert!(chain.bound_ms > 0.0 && chain.bound_ms <= most, "{chain:?}");
    }
    let text = explain::all(&table(), &admission);
    for part in ["NOT SHOWN", "can-to-vehicle-state", "fusion/rx", "on receive vehicle/state", "slack", "not analysed"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    println!("{text}");
}

/// The shipped table with one place changed.
fn changed(from: &str, to: &str) -> WorkloadTable {
    let text = fs::read_to_string(config().workloads).unwrap();
    assert!(text.contains(from), "{from}");
    WorkloadTable::parse(&text.replacen(from, to, 1)).unwrap()
}

#[test]
fn a_refusal_names_the_thread_the_term_and_the_amount() {
    let e = admit(&changed("deadline_ms = 1\n", "deadline_ms = 0.3\n")).unwrap_err();
    let AdmissionError::Deadline { thread, .. } = &e else { panic!("{e}") };
    assert_eq!(thread, "can");
    for part in ["misses its deadline of 0.300 ms by 0.010 ms", "the largest term is"] {
        assert!(e.to_string().contains(part), "{e}");
    }
}

#[test]
fn a_chain_above_its_budget_or_what_is_accepted_is_refused_and_one_within_needs_no_exception() {
    let e = admit(&changed("accepted_ms = 7", "accepted_ms = 5.5")).unwrap_err();
    assert!(matches!(&e, AdmissionError::Chain { chain, .. } if chain == "evidence-to-warning"), "{e}");
    let mut generous = table();
    generous.chains.iter_mut().find(|c| c.name == "can-to-vehicle-state").unwrap().accepted_ms = Some(2.0);
    let e = admit(&generous).unwrap_err().to_string();
    assert!(e.contains("can-to-vehicle-state") && e.contains("take accepted_ms out"), "{e}");
}

#[test]
fn a_costlier_thread_never_shortens_a_chain() {
    let (before, _) = analyse(&table()).unwrap();
    let (after, _) =
        analyse(&changed("on = \"fusion/hazard\", cpu_ms = 0.2", "on = \"fusion/hazard\", cpu_ms = 0.3")).unwrap();
    for (a, b) in before.chains.iter().zip(&after.chains) {
        assert!(b.bound_ms >= a.bound_ms, "{}: {} to {}", a.chain, a.bound_ms, b.bound_ms);
    }
}

/// A tree like /proc and /sys.
fn machine(files: &[(&str, &str)]) -> Machine {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
    }
    Machine::read(root.path())
}

const ONLINE: &str = "sys/devices/system/cpu/online";
const STATUS: &str = "proc/self/status";
const RUNTIME: &str = "proc/sys/kernel/sched_rt_runtime_us";

fn refusals(files: &[(&str, &str)]) -> String {
    let admission = admit(&table()).unwrap();
    explain::refusals(&machine(files).refusals(&table(), &admission))
}

#[test]
fn cores_that_the_machine_lacks_or_forbids_and_throttling_are_refused() {
    let two = [(ONLINE, "0-1\n"), (STATUS, "Name:\tx\nCpus_allowed_list:\t0-1\n"), (RUNTIME, "950000\n")];
    assert_eq!(refusals(&two), "");
    let one = refusals(&[(ONLINE, "0\n")]);
    assert!(one.contains("thread fusion belongs on core 1, but only core 0 are online"), "{one}");
    assert!(one.contains("capacity.cpu_cores is 2, but this process has 1"), "{one}");
    let pinned = refusals(&[(ONLINE, "0-3"), (STATUS, "Cpus_allowed_list:\t1,3\n")]);
    assert!(pinned.contains("thread can belongs on core 0, but this process may only use cores 1, 3"), "{pinned}");
    let throttled = refusals(&[(ONLINE, "0-1"), (RUNTIME, "400000")]);
    assert!(
        throttled.contains("core 0: its real-time threads can need") && throttled.contains("400.0 ms"),
        "{throttled}"
    );
    // -1: the kernel does not stop real-time threads.
    assert_eq!(refusals(&[(ONLINE, "0-1"), (RUNTIME, "-1")]), "");
}

#[test]
fn governor_isolation_and_costs_that_nobody_measured_here_are_reported() {
    let governor = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
    let files = [(ONLINE, "0-1"), (governor, "powersave\n"), ("sys/devices/system/cpu/isolated", "0\n")];
    let machine = machine(&files);
    let warnings = machine.warnings(&table(), &admit(&table()).unwrap()).join("\n");
    for part in [
        "core 1 has the governor powersave",
        "core 1 not isolated",
        "nobody measured: can/app",
        "another machine than this",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}
