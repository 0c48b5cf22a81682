//! The function, and what it is told of one invocation.

use crate::aws::Aws;
use crate::resource::Kind;
use crate::settings::Settings;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// The function: what is made once per cold start.
#[derive(Debug)]
pub struct Function {
    /// The clients.
    pub aws: Aws,
    /// For the answers.
    pub http: reqwest::Client,
    /// What the deployer decided.
    pub settings: Settings,
}

/// What Lambda says of one invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Lambda's request ID.
    pub request_id: String,
    /// The function's ARN.
    pub function_arn: String,
    /// When Lambda ends it. One in the past is taken as unknown: `cargo lambda watch` sends 1970.
    pub deadline: SystemTime,
}

impl Function {
    /// The kinds of resource that it may look at: those that it was deployed with.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let allowed = |kind: &Kind| match kind {
            Kind::Efs => self.settings.efs,
            Kind::Fsx => self.settings.fsx,
            _ => true,
        };
        Kind::ALL.into_iter().filter(allowed).collect()
    }
}
