//! The list of the kinds of resource in a forge.
//!
//! A new kind is a file in `resources/`, a line here, and an adapter of the same name in `handler/aws/`. This is the
//! only macro of the project: all code that treats the kinds alike is generated from the list.

/// Calls `$callback!` with every kind: its name, its module in `resources/`, and its description.
///
/// They are in the order of creation; **deletion runs backwards**.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            Role => role, "An IAM role.",
            InstanceProfile => instance_profile, "An IAM instance profile.",
            LogGroup => log_group, "A CloudWatch log group.",
            Efs => efs, "An EFS file system with its mount targets.",
            Fsx => fsx, "An FSx for Lustre file system.",
            LaunchTemplate => launch_template, "An EC2 launch template.",
            ComputeEnvironment => compute_environment, "A Batch compute environment.",
            JobQueue => job_queue, "A Batch job queue.",
        }
    };
}
