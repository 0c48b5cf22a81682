//! The images of a forge's instances: their root devices, and the check of the root volume's size. PURE.
//!
//! Batch starts no instance whose root volume is smaller than the image's snapshot, and a volume at another device than
//! the image's root is a second, unused one.

use crate::properties::Properties;

/// The root device of the ECS images for Amazon Linux 2023 (AWS Batch, "Compute resource AMIs").
pub const ECS_ROOT_DEVICE: &str = "/dev/xvda";

/// The size in GiB of their snapshot (Amazon ECS, "Amazon ECS-optimized AMIs"), GPU images included.
pub const ECS_ROOT_GIB: i32 = 30;

/// An image that a stack names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its ID.
    pub id: String,
    /// The name of its root device.
    pub root_device: String,
    /// The size of the root device's snapshot in GiB; 0 if the root device has none.
    pub root_gib: i32,
    /// The account of its owner.
    pub owner: String,
    /// EC2's name for that owner, such as `amazon`.
    pub owner_alias: Option<String>,
}

/// The root device of an image, or of the ECS image if a stack names none.
pub fn root_device<'a>(images: &'a [Image], id: Option<&str>) -> &'a str {
    let named = images.iter().find(|image| Some(image.id.as_str()) == id);
    named.map_or(ECS_ROOT_DEVICE, |image| &image.root_device)
}

/// The faults of the images and of the root volume's size. `images` are those of the stack that exist.
pub fn faults(properties: &Properties, images: &[Image]) -> Vec<String> {
    let named = [("ImageId", &properties.image_id), ("DragenAmiId", &properties.dragen_ami_id)];
    let missing = named.iter().filter_map(|(property, id)| {
        let id = id.as_ref().filter(|id| !images.iter().any(|image| image.id == **id))?;
        Some(format!(
            "{property}: given {id}, allowed: an image of this region that this account may use; copy the image to this \
             region, or have its owner share it"
        ))
    });
    let too_small = smallest_root(properties, images)
        .filter(|(gib, _)| properties.ebs_boot_size() < *gib)
        .map(|(gib, image)| {
            let given = match properties.ebs_boot_size {
                Some(size) => format!("given {size}"),
                None => format!("missing, and its default is {}", properties.ebs_boot_size()),
            };
            format!(
                "EbsBootSize: {given}, allowed: an integer from {gib} to 16384, because the snapshot of {image} has {gib} GiB"
            )
        });
    missing.chain(too_small).collect()
}

/// The smallest root volume in GiB with which all instances start, and the image that needs it.
fn smallest_root(properties: &Properties, images: &[Image]) -> Option<(i32, String)> {
    let ecs = (ECS_ROOT_GIB, "the ECS image".to_owned());
    let uses_ecs = properties.image_id.is_none().then_some(ecs);
    images.iter().map(|image| (image.root_gib, image.id.clone())).chain(uses_ecs).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::properties;
    use serde_json::json;

    fn image(id: &str, root_gib: i32) -> Image {
        Image {
            id: id.to_owned(),
            root_device: "/dev/sda1".to_owned(),
            root_gib,
            owner: "123456789012".to_owned(),
            owner_alias: None,
        }
    }

    #[test]
    fn a_root_volume_is_not_smaller_than_the_snapshot_of_any_image() {
        let of = |more: serde_json::Value, images: &[Image]| faults(&properties(more), images).join("\n");
        assert_eq!(of(json!({}), &[]), "");
        assert_eq!(
            of(json!({"EbsBootSize": 29}), &[]),
            "EbsBootSize: given 29, allowed: an integer from 30 to 16384, because the snapshot of the ECS image has 30 GiB"
        );
        let (small, large) = (image("ami-00000001", 8), image("ami-00000002", 60));
        let small = std::slice::from_ref(&small);
        assert_eq!(of(json!({"EbsBootSize": 8, "ImageId": "ami-00000001"}), small), "");
        let dragen = json!({"DragenEnabled": true, "DragenAmiId": "ami-00000002"});
        assert_eq!(
            of(dragen, &[large]),
            "EbsBootSize: missing, and its default is 50, allowed: an integer from 60 to 16384, because the snapshot of \
             ami-00000002 has 60 GiB"
        );
    }

    #[test]
    fn an_image_that_cannot_be_found_is_named() {
        let named = properties(json!({"ImageId": "ami-00000001", "EbsBootSize": 8}));
        let faults = faults(&named, &[]);
        assert!(
            faults[0].starts_with("ImageId: given ami-00000001, allowed: an image of this region"),
            "{faults:?}"
        );
        assert_eq!(faults.len(), 1, "its size is unknown");
    }

    #[test]
    fn the_root_device_is_that_of_the_image() {
        let images = [image("ami-00000001", 8)];
        assert_eq!(root_device(&images, Some("ami-00000001")), "/dev/sda1");
        assert_eq!(root_device(&images, None), ECS_ROOT_DEVICE);
    }
}
