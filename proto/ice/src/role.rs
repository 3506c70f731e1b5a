//! Who nominates, and what happens if both sides think it is them (RFC 8445 section 7.3.1.1).

use std::fmt;

/// A side's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nominates.
    Controlling,
    /// Follows.
    Controlled,
}

impl Role {
    /// The other one.
    pub fn other(self) -> Role {
        match self {
            Role::Controlling => Role::Controlled,
            Role::Controlled => Role::Controlling,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Controlling => "controlling",
            Role::Controlled => "controlled",
        })
    }
}

/// What a request says of its sender's role, and the number that breaks a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub role: Role,
    pub tie_breaker: u64,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The roles differ.
    Agreed,
    /// We keep our role, and say 487.
    Refuse,
    /// We take the other role.
    Switch,
}

/// Compares our claim with a request's: the larger number is to control.
pub(crate) fn resolve(ours: Claim, theirs: Claim) -> Resolution {
    if ours.role != theirs.role {
        return Resolution::Agreed;
    }
    let we_are_to_control = ours.tie_breaker >= theirs.tie_breaker;
    match (ours.role, we_are_to_control) {
        (Role::Controlling, true) | (Role::Controlled, false) => Resolution::Refuse,
        (Role::Controlling, false) | (Role::Controlled, true) => Resolution::Switch,
    }
}
