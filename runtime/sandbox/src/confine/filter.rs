//! The last wall: seccomp filters. What is not on the list fails with `EPERM`, whoever asks.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter_all_threads,
};
use thiserror::Error;

/// Needed whatever the arguments are: they act on what the process has already.
const ALWAYS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_seccomp,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Why a filter could not be installed.
#[derive(Debug, Error)]
pub(super) enum FilterError {
    #[error("this processor is not supported")]
    Processor,
    #[error("the filter is malformed: {0}")]
    Filter(#[from] BackendError),
    #[error("{0}")]
    Kernel(#[from] seccompiler::Error),
}

/// Refuses every system call that a running guest does not need.
pub(super) fn allow_only_what_is_needed() -> Result<(), FilterError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    // Only to connected sockets: an address would be a way out.
    rules.insert(libc::SYS_sendto, vec![equal(4, 0)?]);
    rules.insert(libc::SYS_recvfrom, vec![equal(4, 0)?]);
    // Only for this process itself.
    rules.insert(libc::SYS_prlimit64, vec![equal(0, 0)?]);
    rules.insert(
        libc::SYS_prctl,
        vec![equal(0, libc::PR_SET_NO_NEW_PRIVS as u64)?],
    );
    rules.insert(
        libc::SYS_fcntl,
        vec![
            equal(1, libc::F_GETFD as u64)?,
            equal(1, libc::F_DUPFD_CLOEXEC as u64)?,
        ],
    );
    install(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
    )
}

/// Refuses to make memory executable, and to change filters and limits again.
pub(super) fn forbid_new_code() -> Result<(), FilterError> {
    let executable = |argument| {
        let flag = libc::PROT_EXEC as u64;
        let operator = SeccompCmpOp::MaskedEq(flag);
        SeccompRule::new(vec![SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            operator,
            flag,
        )?])
    };
    let rules = [
        (libc::SYS_mmap, vec![executable(2)?]),
        (libc::SYS_mprotect, vec![executable(2)?]),
        (libc::SYS_seccomp, Vec::new()),
        (libc::SYS_prlimit64, Vec::new()),
        (libc::SYS_prctl, Vec::new()),
    ];
    let rules = rules.into_iter().collect();
    install(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
    )
}

/// The low half of an argument equals a value, or all of it where it is a pointer that must be null.
fn equal(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    let length = if value == 0 {
        SeccompCmpArgLen::Qword
    } else {
        SeccompCmpArgLen::Dword
    };
    let condition = SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value)?;
    SeccompRule::new(vec![condition])
}

fn install(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), FilterError> {
    let processor = std::env::consts::ARCH
        .try_into()
        .map_err(|_| FilterError::Processor)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, processor)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter_all_threads(&program)?)
}
