//! The deployer's settings, read from the environment once per cold start.

use std::time::Duration;
use tower_forge_core::deployment::Deployment;
use tower_forge_core::name::PREFIX;
use tower_forge_core::properties::Allowed;
use tower_forge_edge::environment::Environment;

/// Reads the deployer's settings.
pub(crate) fn deployment(environment: &Environment, region: String) -> Deployment {
    from_variables(environment, region, |name| std::env::var(name).ok())
}

fn from_variables(
    environment: &Environment,
    region: String,
    variable: impl Fn(&str) -> Option<String>,
) -> Deployment {
    let text = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let list = |name: &str| {
        let text = text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect::<Vec<_>>()
    };
    // An empty text means neither; only a variable that is not there means both.
    let features = variable("TOWER_FORGE_FEATURES").unwrap_or_else(|| "efs,fsx".to_owned());
    let has = |feature: &str| features.split(',').any(|item| item.trim() == feature);
    let retire_after = text("TOWER_FORGE_RETIRE_AFTER").and_then(|text| text.parse().ok()).unwrap_or(3600);
    Deployment {
        prefix: text("TOWER_FORGE_NAME_PREFIX").unwrap_or_else(|| PREFIX.to_owned()),
        region,
        stack_accounts: list("TOWER_FORGE_STACK_ACCOUNTS"),
        boundary: text("TOWER_FORGE_PERMISSIONS_BOUNDARY"),
        allowed: allowed(&text, &list),
        efs: has("efs"),
        fsx: has("fsx"),
        retire_after: Duration::from_secs(retire_after),
        timing: environment.timing(),
        log_stream: environment.log_stream.clone(),
    }
}

/// What stacks may name. A variable that is missing means the same as the template's default, never everything.
fn allowed(text: &impl Fn(&str) -> Option<String>, list: &impl Fn(&str) -> Vec<String>) -> Allowed {
    let or = |name: &str, default: &[&str]| {
        let given = list(name);
        if given.is_empty() { default.iter().map(ToString::to_string).collect() } else { given }
    };
    let number = |name: &str, default: i32| text(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut boundaries = list("TOWER_FORGE_ALLOWED_BOUNDARIES");
    boundaries.extend(text("TOWER_FORGE_PERMISSIONS_BOUNDARY"));
    Allowed {
        buckets: list("TOWER_FORGE_ALLOWED_BUCKETS"),
        vpcs: or("TOWER_FORGE_ALLOWED_VPCS", &["default"]),
        security_groups: or("TOWER_FORGE_ALLOWED_SECURITY_GROUPS", &["default", "stack"]),
        image_owners: or("TOWER_FORGE_ALLOWED_IMAGE_OWNERS", &["amazon", "self"]),
        key_pairs: list("TOWER_FORGE_ALLOWED_KEY_PAIRS"),
        keys: list("TOWER_FORGE_ALLOWED_KEYS"),
        file_systems: list("TOWER_FORGE_ALLOWED_FILE_SYSTEMS"),
        log_groups: list("TOWER_FORGE_ALLOWED_LOG_GROUPS"),
        boundaries,
        policies: list("TOWER_FORGE_ALLOWED_POLICIES"),
        roles: list("TOWER_FORGE_ALLOWED_ROLES"),
        role_tags: list("TOWER_FORGE_ROLE_TAGS"),
        max_vcpus: number("TOWER_FORGE_MAX_VCPUS", 10_000),
        max_volume_size: number("TOWER_FORGE_MAX_VOLUME_SIZE", 2_000),
        max_fsx_size: number("TOWER_FORGE_MAX_FSX_SIZE", 24_000),
        max_forges: usize::try_from(number("TOWER_FORGE_MAX_FORGES", 20)).unwrap_or(usize::MAX),
        unencrypted: text("TOWER_FORGE_REQUIRE_ENCRYPTION").as_deref() == Some("false"),
    }
}

/// The name by which the function invokes itself (`AWS_LAMBDA_FUNCTION_NAME`).
pub(crate) fn function_name() -> Option<String> {
    std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok().filter(|name| !name.is_empty() && name != "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let environment = Environment::read();
        let deployment = from_variables(&environment, "eu-west-1".to_owned(), |_| None);
        assert_eq!(deployment.prefix, "TowerForge");
        assert!(deployment.efs && deployment.fsx);
        assert_eq!(deployment.retire_after, Duration::from_hours(1));
    }

    #[test]
    fn no_features_are_not_the_same_as_none_given() {
        let environment = Environment::read();
        let none = |name: &str| (name == "TOWER_FORGE_FEATURES").then(String::new);
        let deployment = from_variables(&environment, String::new(), none);
        assert!(!deployment.efs && !deployment.fsx);
    }
}
