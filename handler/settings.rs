//! The deployer's settings, read from the environment once per cold start.

use std::time::Duration;
use tower_forge_core::deployment::Deployment;
use tower_forge_core::name::PREFIX;
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
        allowed_boundaries: list("TOWER_FORGE_ALLOWED_BOUNDARIES"),
        allowed_policies: list("TOWER_FORGE_ALLOWED_POLICIES"),
        allowed_roles: list("TOWER_FORGE_ALLOWED_ROLES"),
        efs: has("efs"),
        fsx: has("fsx"),
        retire_after: Duration::from_secs(retire_after),
        timing: environment.timing(),
        log_stream: environment.log_stream.clone(),
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
