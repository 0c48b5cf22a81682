//! The answers of a side, without IDs, dates, and texts that AWS does not document, which must differ.

use std::sync::Arc;
use tower_forge_core::error::{Error, Result};
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Listing, Phase};

/// The result of a call: the operation, the code and the message of a refusal.
pub(crate) fn of_write(account: &str, result: &Result<()>) -> String {
    match result {
        Ok(()) => "taken".to_owned(),
        Err(Error::Call { action, source, .. }) => {
            masked(account, &format!("{action} refused: {}: {}", source.code, source.message))
        }
        Err(other) => format!("no answer of AWS: {other:?}"),
    }
}

/// The result of a look, a line for each resource and one for the account.
pub(crate) fn of_list(account: &str, listing: Result<Listing<Observed>>) -> Vec<String> {
    let listing = listing.unwrap_or_else(|err| panic!("a look fails: {err:?}"));
    let mut shown: Vec<String> = listing.found.into_iter().map(|each| of_resource(account, each)).collect();
    shown.sort();
    shown.push(format!("{:?}", listing.account));
    shown
}

fn of_resource(account: &str, mut existing: Existing) -> String {
    existing.created = existing.created.map(|_| 0);
    if let Phase::Broken(reason) = &mut existing.phase {
        // The simulated world draws it, so that nothing comes to depend on a text.
        reason.clear();
    }
    if let Observed::LaunchTemplate(template) = &mut existing.observed {
        assert!(template.template_id.starts_with("lt-"), "{existing:?}");
        "lt-".clone_into(&mut Arc::make_mut(template).template_id);
    }
    match &mut existing.observed {
        // Which zones and which VPC there are is the account's.
        Observed::Efs(system) => {
            let system = Arc::make_mut(system);
            let targets = std::mem::take(&mut system.mount_targets);
            system.mount_targets =
                targets.into_values().enumerate().map(|(zone, id)| (zone.to_string(), id)).collect();
            system.vpc = system.vpc.as_ref().map(|_| "VPC".to_owned());
        }
        Observed::Fsx(system) => {
            let system = Arc::make_mut(system);
            (system.vpc, system.mount_name) = ("VPC".to_owned(), "NAME".to_owned());
        }
        _ => {}
    }
    existing.refs.sort();
    masked(account, &format!("{existing:?}"))
}

/// A text with the account's number and the IDs of templates and file systems masked.
fn masked(account: &str, text: &str) -> String {
    ["lt-", "fs-", "fsmt-"].iter().fold(text.replace(account, "ACCOUNT"), |text, prefix| {
        let mut parts = text.split(prefix);
        let mut masked = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            masked.push_str(prefix);
            masked.push_str(part.trim_start_matches(|each: char| each.is_ascii_hexdigit()));
        }
        masked
    })
}
