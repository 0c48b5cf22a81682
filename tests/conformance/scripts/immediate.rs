//! Launch templates and log groups.

use super::{Script, after, writes};
use crate::site::{GIVEN_ID, NO_ID, Site, more_keys, more_tags};
use tower_forge_core::registry::Write;
use tower_forge_core::resources::{launch_template as template, log_group};

fn delete(site: &Site, id: &str) -> Write {
    site.template(template::Call::Delete(id.to_owned()))
}

fn tag(site: &Site, id: &str) -> Write {
    site.template(template::Call::Tag { id: id.to_owned(), tags: more_tags() })
}

fn untag(site: &Site, id: &str) -> Write {
    site.template(template::Call::Untag { id: id.to_owned(), keys: more_keys() })
}

fn create_group(site: &Site) -> Write {
    site.log_group(log_group::Call::Create(site.tags()))
}

fn tag_group(site: &Site) -> Write {
    site.log_group(log_group::Call::Tag { arn: site.log_group_arn(), tags: more_tags() })
}

fn untag_group(site: &Site) -> Write {
    site.log_group(log_group::Call::Untag { arn: site.log_group_arn(), keys: more_keys() })
}

/// All scripts on launch templates and log groups.
pub(crate) const SCRIPTS: &[Script] = &[
    ("a launch template is created twice", |site| writes([site.create_template(), site.create_template()])),
    ("a launch template is deleted twice", |site| {
        writes([site.create_template(), delete(site, GIVEN_ID), delete(site, GIVEN_ID)])
    }),
    ("a launch template that does not exist is deleted", |site| writes([delete(site, NO_ID)])),
    ("a launch template is tagged, and untagged twice", |site| {
        let untag = || untag(site, GIVEN_ID);
        writes([site.create_template(), tag(site, GIVEN_ID), untag(), untag()])
    }),
    ("a launch template that does not exist is tagged", |site| writes([tag(site, NO_ID)])),
    ("a launch template that does not exist is untagged", |site| writes([untag(site, NO_ID)])),
    ("a launch template is created again after it was deleted", |site| {
        writes([
            site.create_template(),
            delete(site, GIVEN_ID),
            site.create_template(),
            delete(site, GIVEN_ID),
        ])
    }),
    ("a launch template that an environment uses is deleted", |site| {
        let mut prepared = site.for_instances();
        prepared.pop();
        let mut steps = after(prepared, [site.create_template()]);
        steps.extend(writes([site.create_on_instances("00000001", 0)]));
        steps.push(super::Step::Settle);
        steps.extend(writes([delete(site, GIVEN_ID)]));
        steps
    }),
    ("a log group is created twice", |site| writes([create_group(site), create_group(site)])),
    ("a log group is kept for some days, then for others", |site| {
        let retain = |days: i32| site.log_group(log_group::Call::Retain(days));
        writes([create_group(site), retain(30), retain(7)])
    }),
    ("a log group is tagged, and untagged twice", |site| {
        writes([create_group(site), tag_group(site), untag_group(site), untag_group(site)])
    }),
    ("a log group is deleted twice", |site| {
        let delete = || site.log_group(log_group::Call::Delete);
        writes([create_group(site), delete(), delete()])
    }),
    ("a log group is created again after it was deleted", |site| {
        let delete = site.log_group(log_group::Call::Delete);
        writes([create_group(site), tag_group(site), delete, create_group(site)])
    }),
    ("a log group that does not exist is kept for some days", |site| {
        writes([site.log_group(log_group::Call::Retain(30))])
    }),
    ("a log group that does not exist is tagged", |site| writes([tag_group(site)])),
    ("a log group that does not exist is untagged", |site| writes([untag_group(site)])),
];
