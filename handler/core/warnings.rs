//! Properties that are accepted, but that a pipeline or a security review may stumble over, and limits that are not reached
//! yet. PURE.
//!
//! All are in the attribute `Warnings` and in the log. The plan has those about properties: a limit shows only after the
//! change.

use crate::image::ECS_ROOT_GIB;
use crate::inventory::Inventory;
use crate::name::LIMIT_TAG;
use crate::properties::{Properties, WorkDir};
use crate::resources::compute_environment::ComputeEnvironment;

/// The bytes of the attribute `Warnings`. CloudFormation takes only short answers, and other attributes need the space.
const LIMIT: usize = 600;

/// The warnings about properties, a sentence or two each.
pub fn warnings(properties: &Properties) -> Vec<String> {
    [work_dir(properties), root_volume(properties), read_buckets(properties)].into_iter().flatten().collect()
}

/// The warnings as one text, a line each, as far as they fit.
pub fn text(warnings: &[String]) -> String {
    const REST: &str = "More: see the plan.";
    let mut text = String::new();
    for (index, warning) in warnings.iter().enumerate() {
        let is_last = index + 1 == warnings.len();
        let room = if is_last { LIMIT } else { LIMIT - REST.len() - 1 };
        if text.len() + warning.len() + 1 > room {
            text += REST;
            text += "\n";
            break;
        }
        text += warning;
        text += "\n";
    }
    text.trim_end().to_owned()
}

/// The warnings about environments whose jobs use more vCPUs than the stack wants.
pub fn limits(inventory: &Inventory) -> Vec<String> {
    let all = inventory.all::<ComputeEnvironment>();
    let limited = all.filter_map(|(existing, observed)| {
        let (limit, now) = (existing.tags.get(LIMIT_TAG)?, observed.max_vcpus);
        let name = &existing.id.name;
        Some(format!("{name} has at most {now} vCPUs instead of {limit}, until its jobs use fewer."))
    });
    limited.collect()
}

fn work_dir(properties: &Properties) -> Option<String> {
    let WorkDir::Path(path) = &properties.work_dir else { return None };
    Some(format!(
        "WorkDir is {path}: Nextflow's awsbatch executor accepts only a work directory in S3, and stops at once without a \
         plugin for shared file systems. Use s3://bucket/path if you have none."
    ))
}

fn root_volume(properties: &Properties) -> Option<String> {
    let size = properties.ebs_boot_size();
    (properties.image_id.is_none() && size < ECS_ROOT_GIB).then(|| {
        format!(
            "EbsBootSize is {size}, and the ECS image needs {ECS_ROOT_GIB} GiB: no instance starts. Set it to {ECS_ROOT_GIB} or more."
        )
    })
}

fn read_buckets(properties: &Properties) -> Option<String> {
    properties.read_buckets.iter().any(|given| given == "*").then(|| {
        "ReadBuckets is *: tasks can read every bucket of this account that the deployment allows. Name the buckets instead."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::properties;
    use serde_json::json;

    #[test]
    fn what_is_usual_gives_no_warning() {
        assert_eq!(warnings(&properties(json!({}))), Vec::<String>::new());
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn each_warning_names_its_property() {
        let odd = properties(json!({
            "WorkDir": "/mnt/efs/work", "EfsCreate": true, "EbsBootSize": 20, "ReadBuckets": ["*", "s3://genomes/hg38"],
        }));
        let warnings = warnings(&odd);
        for (warning, begins) in
            warnings.iter().zip(["WorkDir is /mnt/efs/work:", "EbsBootSize is 20,", "ReadBuckets is *:"])
        {
            assert!(warning.starts_with(begins), "{warning}");
        }
        assert_eq!(warnings.len(), 3);
        assert_eq!(text(&warnings).lines().count(), 3);
    }

    #[test]
    fn what_does_not_fit_into_the_attribute_is_mentioned() {
        for count in 1..40 {
            for length in [1, 20, 299, 300, 598, 599, 600, 700] {
                let text = text(&vec!["x".repeat(length); count]);
                assert!(text.len() <= LIMIT, "{count} of {length}: {}", text.len());
                assert_eq!(
                    text.ends_with("see the plan."),
                    (length + 1) * count > LIMIT,
                    "{count} of {length}"
                );
            }
        }
    }
}
