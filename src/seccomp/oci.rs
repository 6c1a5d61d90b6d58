//! A profile as an OCI runtime reads it.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use super::format::{Action, Arg, Errno, Op, Profile, Rule};

/// The one ABI that a job may use. Others of the same processor (32-bit, x32) are killed by libseccomp's action for a
/// foreign architecture, because they are not listed.
const NATIVE: Arch = if cfg!(target_arch = "aarch64") { Arch::ScmpArchAarch64 } else { Arch::ScmpArchX86_64 };

impl Profile {
    /// The profile in the runtime specification's terms.
    #[must_use]
    pub fn to_oci(&self) -> LinuxSeccomp {
        self.oci.clone()
    }
}

/// `rules` over a default of failing with `default`. The builders of the specification's types can refuse; that is
/// found out when the profile is loaded, not when a job waits.
pub(super) fn convert(default: Errno, rules: &[Rule]) -> Result<LinuxSeccomp, OciSpecError> {
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(default.number())
        .architectures([NATIVE])
        .syscalls(rules.iter().map(syscall).collect::<Result<Vec<_>, _>>()?)
        .build()
}

fn syscall(rule: &Rule) -> Result<LinuxSyscall, OciSpecError> {
    let builder = LinuxSyscallBuilder::default().names(rule.names.clone());
    let builder = match rule.action {
        Action::Allow => builder.action(LinuxSeccompAction::ScmpActAllow),
        Action::Errno(errno) => builder.action(LinuxSeccompAction::ScmpActErrno).errno_ret(errno.number()),
    };
    if rule.args.is_empty() {
        return builder.build();
    }
    builder.args(rule.args.iter().map(arg).collect::<Result<Vec<_>, _>>()?).build()
}

fn arg(arg: &Arg) -> Result<LinuxSeccompArg, OciSpecError> {
    let op = match arg.op {
        Op::Ne => LinuxSeccompOperator::ScmpCmpNe,
        Op::Lt => LinuxSeccompOperator::ScmpCmpLt,
        Op::Le => LinuxSeccompOperator::ScmpCmpLe,
        Op::Eq => LinuxSeccompOperator::ScmpCmpEq,
        Op::Ge => LinuxSeccompOperator::ScmpCmpGe,
        Op::Gt => LinuxSeccompOperator::ScmpCmpGt,
        Op::MaskedEq => LinuxSeccompOperator::ScmpCmpMaskedEq,
    };
    // With a mask the specification's `value` is the mask and `valueTwo` the datum (seccomp_rule_add(3)).
    let builder = LinuxSeccompArgBuilder::default().index(arg.index as usize).op(op);
    match arg.mask {
        Some(mask) => builder.value(mask).value_two(arg.value).build(),
        None => builder.value(arg.value).build(),
    }
}
