//! The exit code of a command that judges a run.

use auriga_sil::analysis::Verdict;
use std::process::ExitCode;

/// Safety budgets were not held.
pub(super) const NOT_HELD: u8 = 3;

/// In the help of the commands that judge.
pub(super) const EXIT_CODES: &str = "\
Exit code: 0 the safety budgets were held, or this machine cannot hold them (its own wake-up latency, measured during the \
run, is longer: the report says so), or a part was not recorded; 1 the command or a process failed; 2 wrong usage; 3 a safety \
budget was not held: of 1000 answers of a safety chain more than one was late or never came. With --strict also 3 where this \
machine cannot hold a budget, a part was not recorded, or no budget was exercised.";

/// In the help of `auriga sil`.
pub(super) const SIL_EXIT_CODES: &str = "\
Exit code: 0 no scenario failed; 1 a scenario failed; 2 wrong usage; 3 all expectations were met, but a scenario without \
injected faults did not hold a safety budget that this machine can hold (with --strict: or that it cannot hold, or that the \
recording does not show).";

/// 3 if the verdict fails, else `otherwise`. A failure of the command itself comes before it.
pub(super) fn exit_code(verdict: &Verdict, strict: bool, otherwise: u8) -> ExitCode {
    match otherwise {
        0 if verdict.fails(strict) => ExitCode::from(NOT_HELD),
        otherwise => ExitCode::from(otherwise),
    }
}
