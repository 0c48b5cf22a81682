//! What is there of one forge: a look at AWS.

use crate::aws::Aws;
use crate::error::Result;
use crate::name::Names;
use crate::resource::{Kind, PartId, Seen};
use crate::resources::{
    compute_environment, efs, fsx, instance_profile, job_queue, launch_template, log_group, role,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is there of one forge.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The parts, whoever they belong to.
    pub parts: BTreeMap<PartId, Seen>,
    /// Queues of others that refer to environments of this forge: (queue, environment).
    pub foreign_holders: Vec<(String, String)>,
    /// How many environments and queues of this account are in transition: how busy its Batch is.
    pub busy: usize,
    /// How many environments the account has, whoever they belong to.
    pub environments: usize,
    /// How many queues the account has, whoever they belong to.
    pub queues: usize,
    /// Fargate environments that are disabled and in which nothing runs; they do not tell themselves.
    pub idle: BTreeSet<String>,
}

impl Inventory {
    /// Looks at all parts of some kinds, side by side, and replaces what was known of them.
    ///
    /// # Errors
    ///
    /// AWS refused to describe something.
    pub async fn refresh(&mut self, aws: &Aws, names: &Names, kinds: &BTreeSet<Kind>) -> Result<()> {
        let looks = kinds.iter().map(|kind| {
            Box::pin(async move {
                let seen = match kind {
                    Kind::Role => role::look(aws, names).await,
                    Kind::InstanceProfile => instance_profile::look(aws, names).await,
                    Kind::LogGroup => log_group::look(aws, names).await,
                    Kind::Efs => efs::look(aws, names).await,
                    Kind::Fsx => fsx::look(aws, names).await,
                    Kind::LaunchTemplate => launch_template::look(aws, names).await,
                    Kind::ComputeEnvironment => {
                        return compute_environment::look(aws, names).await.map(Look::Environments);
                    }
                    Kind::JobQueue => return job_queue::look(aws, names).await.map(Look::Queues),
                };
                seen.map(Look::Parts)
            })
        });
        let mut busy = 0;
        let looks: Vec<Result<Look>> = futures_util::future::join_all(looks).await;
        for (kind, look) in kinds.iter().zip(looks) {
            self.parts.retain(|id, _| id.kind != *kind);
            let parts = match look? {
                Look::Parts(parts) => parts,
                Look::Environments(found) => {
                    busy += found.busy;
                    self.environments = found.all;
                    found.parts
                }
                Look::Queues(found) => {
                    busy += found.busy;
                    self.queues = found.all;
                    self.foreign_holders = found.foreign_holders;
                    found.parts
                }
            };
            self.parts.extend(parts.into_iter().map(|seen| (seen.id.clone(), seen)));
        }
        if kinds.contains(&Kind::ComputeEnvironment) || kinds.contains(&Kind::JobQueue) {
            self.busy = busy;
            self.idle = job_queue::idle_environments(aws, self).await?;
        }
        Ok(())
    }

    /// The part of that kind and name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Seen> {
        self.parts.get(&PartId::new(kind, name))
    }

    /// All parts of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Seen> {
        self.parts.values().filter(move |seen| seen.id.kind == kind)
    }

    /// The parts that refer to `id`.
    pub fn holders<'a>(&'a self, id: &'a PartId) -> impl Iterator<Item = &'a Seen> {
        self.parts.values().filter(move |seen| seen.refs.contains(id))
    }
}

enum Look {
    Parts(Vec<Seen>),
    Environments(compute_environment::Found),
    Queues(job_queue::Found),
}
